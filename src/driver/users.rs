//! ◆ Who a task runs as: `user[:group]`, by name or number, against the text of a passwd and a group file.
//!
//! The texts come from the image for containers and from the host for processes; no library of the other root
//! is ever loaded to read them.

use serde::{Deserialize, Serialize};

/// The numbers behind a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups, the primary one among them: without it, giving that up would open what is closed
    /// to its members (CVE-2022-36109).
    pub groups: Vec<u32>,
    pub home: String,
    /// The login name, where there is one.
    pub name: Option<String>,
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Account { name, uid, gid, home: fields.nth(1).unwrap_or("/") })
    })
}

/// Name, number and members.
fn groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((name, fields.nth(1)?.parse().ok()?, fields.next().unwrap_or_default()))
    })
}

/// Resolves `wanted`; empty is root. A number needs no entry in the files; a name does.
pub(super) fn resolve(wanted: &str, passwd: &str, group: &str) -> Result<Identity, String> {
    let (user, wanted_group) = match wanted.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (wanted, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let number = user.parse::<u32>().ok();
    let account = accounts(passwd)
        .find(|account| number.map_or(account.name == user, |uid| account.uid == uid));
    let mut identity = match (account, number) {
        (Some(account), _) => Identity {
            uid: account.uid,
            gid: account.gid,
            groups: Vec::new(),
            home: if account.home.is_empty() { "/".into() } else { account.home.into() },
            name: Some(account.name.to_owned()),
        },
        (None, Some(uid)) => {
            let home = if uid == 0 { "/root" } else { "/" };
            Identity { uid, gid: 0, groups: Vec::new(), home: home.into(), name: None }
        }
        (None, None) => return Err(format!("no user `{user}` in /etc/passwd")),
    };
    if let Some(wanted) = wanted_group.filter(|group| !group.is_empty()) {
        identity.gid = group_number(wanted, group)?;
    } else {
        // Only a user who did not name a group gets those that list him.
        let name = identity.name.clone().unwrap_or_default();
        identity.groups = groups(group)
            .filter(|(_, gid, members)| {
                *gid != identity.gid
                    && members.split(',').any(|member| member == name && !name.is_empty())
            })
            .map(|(_, gid, _)| gid)
            .collect();
    }
    identity.groups.insert(0, identity.gid);
    Ok(identity)
}

/// The number of a group, by name or number.
pub(super) fn group_number(wanted: &str, group: &str) -> Result<u32, String> {
    wanted.parse().ok().map_or_else(
        || {
            groups(group)
                .find(|(name, _, _)| *name == wanted)
                .map(|(_, gid, _)| gid)
                .ok_or_else(|| format!("no group `{wanted}` in /etc/group"))
        },
        Ok,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:Web:/var/www:/bin/false\nbroken\n";
    const GROUP: &str = "root:x:0:\nweb:x:34:\nvideo:x:44:web,other\nbad:x\n";

    fn numbers(wanted: &str) -> (u32, u32, Vec<u32>) {
        let identity = resolve(wanted, PASSWD, GROUP).unwrap();
        (identity.uid, identity.gid, identity.groups)
    }

    #[test]
    fn names_and_numbers_resolve() {
        assert_eq!(numbers(""), (0, 0, vec![0]));
        assert_eq!(numbers("web"), (33, 34, vec![34, 44]));
        assert_eq!(numbers("33"), (33, 34, vec![34, 44]));
        assert_eq!(numbers("web:video"), (33, 44, vec![44]));
        assert_eq!(numbers("1000:1001"), (1000, 1001, vec![1001]));
        assert_eq!(numbers("1000"), (1000, 0, vec![0]));
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert_eq!(
            resolve("nobody", PASSWD, GROUP).unwrap_err(),
            "no user `nobody` in /etc/passwd"
        );
        assert_eq!(resolve("web:x", PASSWD, GROUP).unwrap_err(), "no group `x` in /etc/group");
    }
}
