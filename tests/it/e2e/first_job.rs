//! The README's first command, as it is, with the binary of this build.

use std::process::Command;

use super::is_root;

#[test]
fn the_first_job_of_the_readme_runs_and_leaves_nothing() {
    if !is_root("the_first_job_of_the_readme_runs_and_leaves_nothing") {
        return;
    }
    let root = env!("CARGO_MANIFEST_DIR");
    // It uses examples/first-job.hcl and examples/image.sh.
    let out = Command::new("bash")
        .arg(format!("{root}/examples/first-job.sh"))
        .env("STEAD", env!("CARGO_BIN_EXE_stead"))
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&out.stdout);
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{}\n{stdout}\n{stderr}", out.status);
    assert!(stdout.contains("Served by nginx in a container that stead runs."), "{stdout}");
    assert!(stdout.contains("hello from first-job.greeting[0] on Linux"), "{stdout}");
}

#[test]
fn the_readme_names_commands_and_files_that_exist() {
    let root = env!("CARGO_MANIFEST_DIR");
    let readme = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    for file in
        ["examples/first-job.sh", "examples/first-job.hcl", "tests/run.sh", ".ci/run", ".ci/fix"]
    {
        assert!(readme.contains(file), "{file} is not named");
        assert!(std::path::Path::new(root).join(file).exists(), "{file} does not exist");
    }
    let commands = readme.lines().filter(|line| line.starts_with("stead "));
    let mut tried = 0;
    for line in commands {
        let words: Vec<&str> = line
            .split('#')
            .next()
            .unwrap()
            .split_whitespace()
            .skip(1)
            .take_while(|w| !w.starts_with('-'))
            .collect();
        let words: Vec<&str> = words.into_iter().take(2).collect();
        let out =
            Command::new(env!("CARGO_BIN_EXE_stead")).args(&words).arg("-h").output().unwrap();
        assert!(out.status.success(), "{line}: `stead {} -h` fails", words.join(" "));
        tried += 1;
    }
    assert!(tried > 5, "the README shows commands");
}
