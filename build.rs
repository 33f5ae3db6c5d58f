//! Rebuilds when a migration is added, which `embed_migrations!` alone does not bring about.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
