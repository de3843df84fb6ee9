//! Mounts whose server never says a word, in a mount namespace that ends with the test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Mounts a FUSE file system whose requests nobody reads, says so, and lives for as long as
/// standard input is open. With it the connection goes: what hangs then ends with an error.
const SILENT: &str = r#"
    exec 3<>/dev/fuse
    mount -i -t fuse.silent -o fd=3,rootmode=40000,user_id=0,group_id=0,allow_other silent "$1" || exit 99
    echo mounted
    read -r _
"#;

/// Says that it is there, and stays for as long as standard input is open.
const STAY: &str = "echo here; read -r _";

/// Whoever runs all tests may not overlook that some did nothing; where this machine allows no
/// mounts, that is said with this variable.
const WITHOUT_MOUNTS: &str = "METRICSD_WITHOUT_MOUNTS";

/// A mount namespace of a test's own.
pub struct Namespace(Child);

/// A mount that never answers. Dropping it makes all that hangs in it fail.
pub struct Silent(Child);

impl Namespace {
    /// A namespace in which silent mounts can be made. None, which is said, where this machine
    /// allows none: it takes root and `/dev/fuse`.
    #[track_caller]
    pub fn new() -> Option<Namespace> {
        let made = talking(Command::new("unshare").args(["--mount", "sh", "-c", STAY]), "here").map(Namespace);
        let made = made.and_then(|namespace| {
            let place = super::program::TempDir::new();
            namespace.silent_mount(place.path()).map(|_| namespace)
        });
        match made {
            Ok(namespace) => Some(namespace),
            Err(why) => {
                assert!(
                    std::env::var_os("CI").is_none() || std::env::var_os(WITHOUT_MOUNTS).is_some(),
                    "no silent mounts here ({why}), so what hangs goes untested; {WITHOUT_MOUNTS}=1 if that has to be"
                );
                println!("SKIPPED, no silent mounts here: {why}");
                None
            }
        }
    }

    /// `program` in this namespace.
    pub fn command(&self, program: &Command) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.0.id())).arg(program.get_program());
        let env = program.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.args(program.get_args()).env_clear().envs(env).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    /// Makes a silent mount over the folder `place`.
    pub fn silent(&self, place: &Path) -> Silent {
        self.silent_mount(place).unwrap()
    }

    fn silent_mount(&self, place: &Path) -> Result<Silent, String> {
        let mut command = Command::new("sh");
        command.args(["-c", SILENT, "sh"]).arg(place);
        talking(&mut self.command(&command), "mounted").map(Silent)
    }
}

/// Starts a program that says `word` when it is ready.
fn talking(command: &mut Command, word: &str) -> Result<Child, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut line = String::new();
    let _ = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
    if line.trim_end() == word {
        return Ok(child);
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
}

impl Drop for Namespace {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

fn end(child: &mut Child) {
    drop(child.stdin.take());
    let _ = child.wait();
}
