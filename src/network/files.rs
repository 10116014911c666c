//! ◆ The texts of `/etc/hosts`, `/etc/resolv.conf` and `/etc/hostname` of a task.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use super::request::{Attachment, Dns, NetworkPlan};

/// Used when the host names no resolver that can be reached from a namespace: Quad9 and Cloudflare. Docker does the same with Google's.
const FALLBACK: [&str; 2] = ["9.9.9.9", "1.1.1.1"];

/// The host's resolver files in the order in which [`texts`] wants them.
pub const HOST_RESOLV_CONFS: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// What a task finds in `/etc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFiles {
    /// `/etc/hosts`
    pub hosts: String,
    /// `/etc/resolv.conf`
    pub resolv_conf: String,
    /// `/etc/hostname`
    pub hostname: String,
}

/// The texts for a task of `plan`. `extra_hosts` are names with their addresses, as a driver's configuration gives
/// them. `host_resolv_confs` are the host's resolver files, the best first: where systemd-resolved runs, its own list of upstream
/// servers comes after `/etc/resolv.conf`, which names only a loopback address.
pub fn texts(
    plan: &NetworkPlan,
    extra_hosts: &[(String, IpAddr)],
    host_resolv_confs: &[&str],
) -> TaskFiles {
    let shares_host = matches!(plan.attachment, Attachment::Host);
    TaskFiles {
        hosts: hosts(plan, extra_hosts),
        resolv_conf: resolv_conf(plan.dns.as_ref(), host_resolv_confs, shares_host),
        hostname: format!("{}\n", plan.hostname),
    }
}

fn hosts(plan: &NetworkPlan, extra: &[(String, IpAddr)]) -> String {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::\tip6-localnet\n\
         ff00::\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\n\
         ff02::2\tip6-allrouters\n",
    );
    let mut line = |address: IpAddr, name: &str| {
        // An allocation for which nothing was made may have no name. Writing to a String cannot fail.
        if !name.is_empty() {
            writeln!(text, "{address}\t{name}").unwrap_or_default();
        }
    };
    let own = [plan.address().map(IpAddr::V4), plan.address_v6().map(IpAddr::V6)];
    if own.iter().all(Option::is_none) {
        line(Ipv4Addr::LOCALHOST.into(), &plan.hostname);
    }
    for address in own.into_iter().flatten() {
        line(address, &plan.hostname);
    }
    for (name, address) in extra {
        // A name with a line break would be a second line.
        if !name.is_empty()
            && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '#')
        {
            line(*address, name);
        }
    }
    text
}

#[derive(Debug, Default)]
struct Resolver<'a> {
    servers: Vec<&'a str>,
    searches: Vec<&'a str>,
    options: Vec<&'a str>,
}

/// Nomad: a part that the `dns` block does not set comes from the host.
fn resolv_conf(dns: Option<&Dns>, host: &[&str], shares_host: bool) -> String {
    let mut chosen = Resolver::default();
    for text in host {
        let read = parse(text);
        if chosen.searches.is_empty() {
            chosen.searches = read.searches;
        }
        if chosen.options.is_empty() {
            chosen.options = read.options;
        }
        chosen.servers = read.servers;
        chosen.servers.retain(|server| shares_host || reachable(server));
        if !chosen.servers.is_empty() {
            break;
        }
    }
    if chosen.servers.is_empty() {
        chosen.servers = FALLBACK.to_vec();
    }
    let Some(dns) = dns else {
        return written(&chosen.servers, &chosen.searches, &chosen.options);
    };
    written(
        &or(&dns.servers, chosen.servers),
        &or(&dns.searches, chosen.searches),
        &or(&dns.options, chosen.options),
    )
}

fn or<'a>(wanted: &'a [String], host: Vec<&'a str>) -> Vec<&'a str> {
    if wanted.is_empty() {
        return host;
    }
    wanted.iter().map(String::as_str).filter(|word| one_word(word)).collect()
}

fn parse(text: &str) -> Resolver<'_> {
    let mut resolver = Resolver::default();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => resolver.servers.extend(words.next()),
            // Of several search lines the last one counts (resolv.conf(5)).
            Some("search" | "domain") => resolver.searches = words.collect(),
            Some("options") => resolver.options.extend(words),
            Some(_) | None => {}
        }
    }
    resolver
}

/// From inside a namespace: neither its own loopback nor an address that needs one of the host's links to make sense.
fn reachable(server: &str) -> bool {
    server.parse::<IpAddr>().is_ok_and(|address| match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unspecified() && !v6.is_unicast_link_local(),
    })
}

fn one_word(word: &str) -> bool {
    !word.is_empty() && !word.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn written(servers: &[&str], searches: &[&str], options: &[&str]) -> String {
    let mut text = String::new();
    for server in servers {
        text.push_str("nameserver ");
        text.push_str(server);
        text.push('\n');
    }
    for (keyword, words) in [("search", joined(searches)), ("options", joined(options))] {
        if !words.is_empty() {
            text.push_str(keyword);
            text.push_str(&words);
            text.push('\n');
        }
    }
    text
}

/// Each word with a space before it.
fn joined(words: &[&str]) -> String {
    words.iter().flat_map(|word| [" ", word]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::request::Address4;
    use super::*;

    fn bridge(dns: Option<Dns>) -> NetworkPlan {
        let v4 = Address4 {
            address: Ipv4Addr::new(172, 26, 64, 2),
            prefix: 20,
            gateway: Ipv4Addr::new(172, 26, 64, 1),
        };
        NetworkPlan {
            alloc_id: "a".to_owned(),
            attachment: Attachment::Bridge {
                netns: "a".to_owned(),
                veth: "vsa".to_owned(),
                offset: 2,
                v4,
                v6: None,
            },
            hostname: "web".to_owned(),
            dns,
            ports: Vec::new(),
        }
    }

    #[test]
    fn the_hosts_file_knows_the_task_itself_and_the_extra_hosts() {
        let extra = [
            ("db".to_owned(), IpAddr::from([10, 0, 0, 9])),
            ("evil\n1.2.3.4 bank".to_owned(), IpAddr::from([10, 0, 0, 9])),
        ];
        let hosts = texts(&bridge(None), &extra, &[]).hosts;
        assert!(hosts.starts_with("127.0.0.1\tlocalhost\n::1\tlocalhost"), "{hosts}");
        assert!(hosts.ends_with("172.26.64.2\tweb\n10.0.0.9\tdb\n"), "{hosts}");
    }

    #[test]
    fn loopback_resolvers_are_left_out_and_the_next_file_is_asked() {
        let stub = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n";
        let upstream = "# by systemd-resolved\nnameserver 192.168.1.1\nnameserver fe80::1%eth0\n";
        let text = texts(&bridge(None), &[], &[stub, upstream]).resolv_conf;
        assert_eq!(text, "nameserver 192.168.1.1\nsearch lan\noptions edns0 trust-ad\n");
    }

    #[test]
    fn without_any_resolver_there_is_a_fallback() {
        let text = texts(&bridge(None), &[], &["nameserver ::1\n"]).resolv_conf;
        assert_eq!(text, "nameserver 9.9.9.9\nnameserver 1.1.1.1\n");
    }

    #[test]
    fn the_dns_block_replaces_what_it_names() {
        let dns = Dns {
            servers: vec!["10.0.0.53".to_owned(), "x\nsearch evil".to_owned()],
            searches: vec![],
            options: vec!["ndots:2".to_owned()],
        };
        let host = "nameserver 192.168.1.1\nsearch lan\noptions rotate\n";
        let text = texts(&bridge(Some(dns)), &[], &[host]).resolv_conf;
        assert_eq!(text, "nameserver 10.0.0.53\nsearch lan\noptions ndots:2\n");
    }

    #[test]
    fn a_task_in_the_hosts_namespace_keeps_the_hosts_resolvers() {
        let plan = NetworkPlan { attachment: Attachment::Host, ..bridge(None) };
        let text = texts(&plan, &[], &["nameserver 127.0.0.53\n"]);
        assert_eq!(text.resolv_conf, "nameserver 127.0.0.53\n");
        assert_eq!(text.hostname, "web\n");
        let nameless = NetworkPlan { hostname: String::new(), ..plan };
        assert!(texts(&nameless, &[], &[]).hosts.ends_with("ip6-allrouters\n"));
    }
}
