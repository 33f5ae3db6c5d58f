//! What to do about a file that this user may not use.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User};
use rustix::fs::Access;

/// Read permission for the group.
const GROUP_READ: u32 = 0o040;

/// Returns the remedy for a file or folder that may not be used.
pub fn hint(path: &Path) -> String {
    // The folder may hide the file.
    let found = path.ancestors().find_map(|path| std::fs::metadata(path).ok());
    let Some(found) = found else { return "run it as the owner of the file".to_owned() };
    let user = user(&found);
    if rustix::fs::access(path, Access::READ_OK).is_ok() {
        return format!(
            "you may read it; only `{user}` may write it: run `sudo -u {user} creatormirror …`"
        );
    }
    match group(&found) {
        Some(group) => format!(
            "members of the group `{group}` may read it: ask for membership (`sudo adduser NAME {group}`), or run \
             `sudo -u {user} creatormirror …`"
        ),
        None => format!("it belongs to `{user}`: run `sudo -u {user} creatormirror …`"),
    }
}

fn user(file: &Metadata) -> String {
    let user = User::from_uid(Uid::from_raw(file.uid())).ok().flatten();
    user.map_or_else(|| format!("#{}", file.uid()), |user| user.name)
}

/// The group that may read it, if it is not root's.
fn group(file: &Metadata) -> Option<String> {
    let may_read = file.permissions().mode() & GROUP_READ != 0 && file.gid() != 0;
    let group = may_read.then(|| Group::from_gid(Gid::from_raw(file.gid())).ok().flatten());
    group.flatten().map(|group| group.name)
}
