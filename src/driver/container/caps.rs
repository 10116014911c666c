//! ◆ Which capabilities a container gets.

use super::super::DriverError;

/// Docker's set.
pub(super) const DEFAULT: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// All that Linux has, in the order of their numbers.
const ALL: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// What a task asks for, beside what it gets anyway.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub driver: &'static str,
    pub add: &'a [String],
    pub drop: &'a [String],
    /// The owner's `allow_caps`. Empty is Docker's set.
    pub allowed: &'a [String],
}

fn canonical(driver: &'static str, key: &str, name: &str) -> Result<String, DriverError> {
    let upper = name.trim().to_ascii_uppercase();
    if upper == "ALL" {
        return Ok(upper);
    }
    let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    if ALL.contains(&full.as_str()) {
        return Ok(full);
    }
    Err(DriverError::InvalidValue {
        driver,
        key: key.to_owned(),
        why: format!("Linux has no capability `{name}`"),
    })
}

/// The capabilities in the order of their numbers.
pub(super) fn resolve(wish: Wish<'_>) -> Result<Vec<String>, DriverError> {
    let names = |key: &str, list: &[String]| -> Result<Vec<String>, DriverError> {
        list.iter().map(|name| canonical(wish.driver, key, name)).collect()
    };
    let (add, drop) = (names("cap_add", wish.add)?, names("cap_drop", wish.drop)?);
    let allowed = names("allow_caps", wish.allowed)?;
    let may = |cap: &str| {
        allowed.iter().any(|name| name == "ALL" || name == cap)
            || (allowed.is_empty() && DEFAULT.contains(&cap))
    };
    for cap in &add {
        let wanted: &[&str] = if cap == "ALL" { &ALL } else { &[cap.as_str()] };
        if let Some(denied) = wanted.iter().find(|cap| !may(cap)) {
            return Err(DriverError::NotAllowed {
                driver: wish.driver,
                what: format!("cap_add {denied}"),
                setting: "allow_caps",
            });
        }
    }
    let has = |list: &[String], cap: &str| list.iter().any(|name| name == "ALL" || name == cap);
    let kept = |cap: &str| {
        let by_default = DEFAULT.contains(&cap) && (allowed.is_empty() || may(cap));
        // An added one stays, whatever is dropped as a whole; one dropped by its name goes.
        let added = has(&add, cap) && !drop.iter().any(|name| name == cap);
        added || (by_default && !has(&drop, cap))
    };
    Ok(ALL.iter().filter(|cap| kept(cap)).map(|cap| (*cap).to_owned()).collect())
}

/// Every one, for privileged containers.
pub(super) fn all() -> Vec<String> {
    ALL.iter().map(|cap| (*cap).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(add: &[&str], drop: &[&str], allowed: &[&str]) -> Result<Vec<String>, DriverError> {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let (add, drop, allowed) = (own(add), own(drop), own(allowed));
        resolve(Wish { driver: "docker", add: &add, drop: &drop, allowed: &allowed })
    }

    #[test]
    fn the_default_is_dockers_set() {
        let caps = resolved(&[], &[], &[]).unwrap();
        let bits = ALL
            .iter()
            .enumerate()
            .filter(|(_, cap)| caps.iter().any(|c| c == *cap))
            .fold(0_u64, |bits, (number, _)| bits | (1 << number));
        assert_eq!(bits, 0xa804_25fb);
    }

    #[test]
    fn what_is_not_allowed_cannot_be_added() {
        let error = resolved(&["sys_admin"], &[], &[]).unwrap_err().to_string();
        assert_eq!(
            error,
            "driver `docker`: `cap_add CAP_SYS_ADMIN` is not allowed on this node; its owner may set `allow_caps`"
        );
        assert!(resolved(&["sys_admin"], &[], &["all"]).unwrap().contains(&"CAP_SYS_ADMIN".into()));
        assert!(resolved(&["all"], &[], &["net_admin"]).is_err());
    }

    #[test]
    fn dropping_all_leaves_what_was_added() {
        assert_eq!(resolved(&["chown"], &["all"], &[]).unwrap(), ["CAP_CHOWN"]);
        assert_eq!(resolved(&[], &["ALL"], &[]).unwrap(), Vec::<String>::new());
        assert!(!resolved(&[], &["CAP_MKNOD"], &[]).unwrap().contains(&"CAP_MKNOD".into()));
        assert!(resolved(&[], &["nonsense"], &[]).is_err());
    }
}
