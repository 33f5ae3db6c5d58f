//! Which path means what, and which methods it takes.

use crate::model::Kind;
use crate::sandbox::replies::Problem;

/// What a path addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `/meta`.
    Meta,
    /// `/whoami`.
    Whoami,
    /// `/overview`.
    Overview,
    /// One of the four lists.
    List(Kind),
    /// One row of the accounts, videos or creators.
    Item(Kind, String),
    /// Windowed totals of accounts, videos or account videos.
    Metrics(Kind),
    /// `/creators/{id}/accounts/{id}`.
    Link(String, String),
}

impl Target {
    /// What this path addresses.
    pub fn of(path: &str) -> Result<Self, Problem> {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let target = match parts.as_slice() {
            ["meta"] => Self::Meta,
            ["whoami"] => Self::Whoami,
            ["overview"] => Self::Overview,
            ["accounts"] => Self::List(Kind::Account),
            ["accounts", "metrics"] => Self::Metrics(Kind::Account),
            ["accounts", id] => Self::Item(Kind::Account, (*id).to_owned()),
            ["videos"] => Self::List(Kind::Video),
            ["videos", "metrics"] => Self::Metrics(Kind::Video),
            ["videos", id] => Self::Item(Kind::Video, (*id).to_owned()),
            ["account-videos"] => Self::List(Kind::AccountVideo),
            ["account-videos", "metrics"] => Self::Metrics(Kind::AccountVideo),
            ["creators"] => Self::List(Kind::Creator),
            ["creators", id] => Self::Item(Kind::Creator, (*id).to_owned()),
            ["creators", creator, "accounts", account] => {
                Self::Link((*creator).to_owned(), (*account).to_owned())
            }
            _ => return Err(Problem::new(404, "No such endpoint")),
        };
        Ok(target)
    }

    /// Whether no key is needed, and nothing counted.
    pub fn is_open(&self) -> bool {
        *self == Self::Meta
    }

    /// The methods that are understood here.
    pub fn methods(&self) -> &'static [&'static str] {
        match self {
            Self::List(Kind::AccountVideo) => &["GET"],
            Self::List(_) => &["GET", "POST"],
            Self::Item(..) => &["GET", "PATCH", "DELETE"],
            Self::Metrics(_) => &["POST"],
            Self::Link(..) => &["PUT", "DELETE"],
            _ => &["GET"],
        }
    }

    /// Refuses a method that is not understood here.
    pub fn check_method(&self, method: &str) -> Result<(), Problem> {
        if self.methods().contains(&method) {
            return Ok(());
        }
        let allowed = self.methods().join(", ");
        Err(Problem::new(405, format!("Only {allowed} here")).with("allow", allowed))
    }

    /// Whether this request changes something, as against reading by POST.
    pub fn is_write(&self, method: &str) -> bool {
        method != "GET" && !matches!(self, Self::Metrics(_))
    }
}
