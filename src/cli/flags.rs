//! ◆ Go's flags: one dash or two, `-flag=true`, and no bundling of letters. Rewritten here into what the
//! parser of arguments takes, so that people's fingers and scripts work unchanged.

/// Rewrites arguments: `-detach` → `--detach`, `-var=a=b` → `--var=a=b`, `-f` stays. A boolean's `=true` is dropped
/// and `=false` drops the flag, but for those in `valued`, whose default is true. After `--`, or after the
/// first positional of a command in `verbatim` (its second for `exec`: the command to run), all stays as it is.
pub(super) fn rewrite(args: impl IntoIterator<Item = String>) -> Vec<String> {
    const VALUED: [&str; 4] = ["hcl2-strict", "diff", "i", "t"];
    let mut out = Vec::new();
    let mut plain = Vec::new();
    let mut verbatim = false;
    let mut value_follows = false;
    for arg in args {
        if verbatim {
            out.push(arg);
            continue;
        }
        if arg == "--" {
            verbatim = true;
            out.push(arg);
            continue;
        }
        let is_flag = arg.len() > 1 && arg.starts_with('-') && !is_number(&arg);
        if !is_flag {
            if !value_follows {
                plain.push(arg.clone());
            }
            value_follows = false;
            verbatim = runs_a_command(&plain);
            if verbatim {
                out.push("--".to_owned());
            }
            out.push(arg);
            continue;
        }
        let name = arg.trim_start_matches('-');
        let (key, value) = name.split_once('=').map_or((name, None), |(k, v)| (k, Some(v)));
        value_follows = value.is_none() && TAKES_VALUE.contains(&key);
        let boolean = value.filter(|_| !VALUED.contains(&key) && !TAKES_VALUE.contains(&key));
        match boolean {
            Some("true" | "1") => out.push(dashed(key)),
            Some("false" | "0") => {}
            Some(_) | None => match value {
                Some(value) => out.push(format!("{}={value}", dashed(key))),
                None => out.push(dashed(key)),
            },
        }
    }
    out
}

fn dashed(key: &str) -> String {
    if key.chars().count() == 1 { format!("-{key}") } else { format!("--{key}") }
}

fn is_number(arg: &str) -> bool {
    arg[1..].starts_with(|c: char| c.is_ascii_digit())
}

/// Whether what follows is a program's own: `alloc exec <alloc> <command> …`.
fn runs_a_command(plain: &[String]) -> bool {
    let words: Vec<&str> = plain.iter().skip(1).map(String::as_str).collect();
    matches!(words.as_slice(), ["alloc", "exec", _, _] | ["exec", _, _])
}

/// Flags that take a value in the next argument, so that it is not mistaken for a positional.
const TAKES_VALUE: &[&str] = &[
    "address",
    "region",
    "namespace",
    "token",
    "ca-cert",
    "ca-path",
    "client-cert",
    "client-key",
    "tls-server-name",
    "task",
    "group",
    "job",
    "e",
    "n",
    "c",
    "s",
    "var",
    "var-file",
    "check-index",
    "eval-priority",
    "filter",
    "per-page",
    "page-token",
    "version",
    "config",
    "data-dir",
    "bind",
    "node",
    "dc",
    "log-level",
    "consul-namespace",
    "vault-namespace",
    "status",
    "t-format",
    "state",
    "m",
    "deadline",
    "meta",
    "servers",
    "join",
    "retry-join",
    "network-interface",
    "bootstrap-expect",
    "node-class",
    "node-pool",
    "alloc-dir",
    "state-dir",
    "platform",
    "username",
    "auth",
    "name",
];

#[cfg(test)]
mod tests {
    use super::rewrite;

    fn rewritten(text: &str) -> String {
        rewrite(text.split(' ').map(str::to_owned)).join(" ")
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        assert_eq!(
            rewritten("stead job run -detach -var a=b x.hcl"),
            "stead job run --detach --var a=b x.hcl"
        );
        assert_eq!(rewritten("stead alloc logs -f -n 5 ab"), "stead alloc logs -f -n 5 ab");
        assert_eq!(
            rewritten("stead job run -detach=true -verbose=false x"),
            "stead job run --detach x"
        );
        assert_eq!(
            rewritten("stead job run -hcl2-strict=false x"),
            "stead job run --hcl2-strict=false x"
        );
    }

    #[test]
    fn what_a_task_is_to_run_is_left_alone() {
        assert_eq!(
            rewritten("stead alloc exec -task t ab ls -la"),
            "stead alloc exec --task t ab -- ls -la"
        );
        assert_eq!(rewritten("stead alloc exec ab -- ls -la"), "stead alloc exec ab -- ls -la");
    }
}
