//! ◆ The texts of a container's /etc/hosts, /etc/resolv.conf and /etc/hostname.

use std::fmt::Write as _;

use super::plan::{ContainerPlan, Dns};

const LOCALHOST: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// The group's file, or the host's, or the least that works; with the job's `extra_hosts` after it.
pub(super) fn hosts(base: Option<&str>, plan: &ContainerPlan, hostname: &str) -> String {
    let mut text = base.unwrap_or(LOCALHOST).to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let known = text.lines().any(|line| line.split_whitespace().any(|word| word == hostname));
    if !known {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "127.0.1.1\t{hostname}");
    }
    for (name, address) in &plan.extra_hosts {
        let _ = writeln!(text, "{address}\t{name}");
    }
    text
}

/// The group's file, or the host's, unless the job says its own.
pub(super) fn resolv_conf(base: &str, dns: &Dns) -> String {
    if dns.is_empty() {
        return base.to_owned();
    }
    let mut text = String::new();
    for server in &dns.servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    if dns.servers.is_empty() {
        for line in base.lines().filter(|line| line.starts_with("nameserver")) {
            let _ = writeln!(text, "{line}");
        }
    }
    if !dns.search.is_empty() {
        let _ = writeln!(text, "search {}", dns.search.join(" "));
    }
    if !dns.options.is_empty() {
        let _ = writeln!(text, "options {}", dns.options.join(" "));
    }
    text
}

/// The job's, or the group's, or the beginning of the allocation's id as Docker does with its ids.
pub(super) fn hostname(plan: &ContainerPlan, group: Option<&str>, alloc_id: &str) -> String {
    let short = || alloc_id.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let given = plan.hostname.as_deref().or(group).filter(|name| !name.is_empty());
    given.map_or_else(short, |name| name.chars().filter(|c| !c.is_whitespace()).take(64).collect())
}

#[cfg(test)]
mod tests {
    use super::super::plan::Root;
    use super::*;

    #[test]
    fn extra_hosts_come_after_the_groups() {
        let mut plan = ContainerPlan::bare(Root::Image);
        plan.extra_hosts = vec![("db".into(), "10.0.0.5".into())];
        let text = hosts(Some("10.0.0.9 web"), &plan, "web");
        assert_eq!(text, "10.0.0.9 web\n10.0.0.5\tdb\n");
        assert!(hosts(None, &plan, "h").contains("127.0.1.1\th\n"));
    }

    #[test]
    fn the_jobs_dns_replaces_only_what_it_says() {
        let base = "nameserver 1.1.1.1\nsearch lan\n";
        assert_eq!(resolv_conf(base, &Dns::default()), base);
        let dns = Dns { search: vec!["a".into(), "b".into()], ..Dns::default() };
        assert_eq!(resolv_conf(base, &dns), "nameserver 1.1.1.1\nsearch a b\n");
    }

    #[test]
    fn a_container_without_a_name_has_its_allocations() {
        let plan = ContainerPlan::bare(Root::Image);
        assert_eq!(hostname(&plan, None, "5f3c1a2e-0000-4000-8000-1"), "5f3c1a2e0000");
        assert_eq!(hostname(&plan, Some("web"), "5f"), "web");
    }
}
