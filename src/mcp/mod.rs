//! An MCP (Model Context Protocol) server on stdin and stdout, through which AI agents query the mirror.
//!
//! It makes no request to the API. Each call opens the database read-only and closes it, so that the server never holds
//! a snapshot or a replaced file. Calls run one at a time, which bounds the memory of the process.
//!
//! | modules | responsibility |
//! |---|---|
//! | [`server`] | the protocol: lists and calls tools, reads resources, ends with its input |
//! | [`tools`] | names, descriptions and schemas of the tools |
//! | [`session`] | settings, deadline of a call, entries queued so far |
//! | `calls`, `query`, `describe`, `writes`, `resources` | what the tools and resources answer |
//! | [`answer`], `hint` | errors of a tool, with what to do |
//! | [`client_config`] | `mcp config`: what a client needs to start the server |

pub mod answer;
mod calls;
pub mod client_config;
mod describe;
mod hint;
mod query;
mod resources;
pub mod server;
pub mod session;
pub mod tools;
mod writes;

pub use client_config::Client;
pub use server::Server;
pub use session::Settings;
