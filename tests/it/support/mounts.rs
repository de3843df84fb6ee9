//! Mounts whose server says nothing, or no more, in a mount namespace that ends with the test.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

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

    /// Mounts a FUSE file system, `fuse.server`, with one folder in it, `sub`, over the folder `place`.
    pub fn served(&self, place: &Path) -> Served {
        let device = File::options().read(true).write(true).open("/dev/fuse").unwrap();
        let options = "fd=0,rootmode=40000,user_id=0,group_id=0,allow_other";
        let mut mount = Command::new("mount");
        mount.args(["-i", "-t", "fuse.server", "-o", options, "server"]).arg(place);
        let hangs = Arc::new(Mutex::new(State { hangs: false, over: false }));
        let state = Arc::clone(&hangs);
        let theirs = device.try_clone().unwrap();
        std::thread::spawn(move || serve(&state, device));
        let status = self.command(&mount).stdin(theirs).status().unwrap();
        assert!(status.success(), "{status}");
        Served(hangs)
    }

    /// Mounts a file system in memory over the folder `place`.
    pub fn memory(&self, place: &Path) {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "memory"]).arg(place);
        assert!(self.command(&mount).status().unwrap().success());
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

/// A FUSE file system that answers, or not. Dropping it makes all that hangs in it fail.
pub struct Served(Arc<Mutex<State>>);

struct State {
    hangs: bool,
    over: bool,
}

impl Served {
    /// From now on, or no more, it answers nothing.
    pub fn hang(&self, hangs: bool) {
        self.0.lock().unwrap().hangs = hangs;
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.lock().unwrap().over = true;
    }
}

/// Answers requests (`linux/fuse.h`) until all is over, or nothing is mounted any more.
fn serve(state: &Mutex<State>, mut device: File) {
    let mut request = vec![0; 1 << 17];
    loop {
        let mut asked = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut asked, PollTimeout::from(20u8));
        let asks = asked[0].revents().is_some_and(|events| events == PollFlags::POLLIN);
        // Held while it reads: what is read is answered.
        let now = state.lock().unwrap();
        if now.over {
            return;
        }
        // What nobody has read can be given up by who waits for it, as with a file system of the network's.
        if now.hangs || !asks {
            drop(now);
            // Where it is not mounted yet, or there is something to read, the wait above is none.
            std::thread::sleep(Duration::from_millis(2));
            continue;
        }
        match device.read(&mut request) {
            Ok(length) => {
                if let Some(answer) = answer(&request[..length]) {
                    let _ = device.write_all(&answer);
                }
            }
            Err(_) => return,
        }
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The answer to a request: its head has the length, the kind, a number of its own, and the node.
fn answer(request: &[u8]) -> Option<Vec<u8>> {
    let kind = u32::from_ne_bytes(request[4..8].try_into().unwrap());
    let (unique, node, body) = (number(request, 8), number(request, 16), &request[40..]);
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
    let longs = |longs: &[u64]| longs.iter().flat_map(|long| long.to_ne_bytes()).collect::<Vec<u8>>();
    // A folder, whose attributes are true for no time at all.
    let attributes = |node: u64| {
        let folder = 0o40755;
        [longs(&[node, 4096, 8, 0, 0, 0]), words(&[0, 0, 0, folder, 2, 0, 0, 0, 4096, 0])].concat()
    };
    let (error, data) = match kind {
        // LOOKUP
        1 if body.strip_suffix(b"\0") == Some(b"sub") => {
            (0, [longs(&[2, 1, 0, 0]), words(&[0, 0]), attributes(2)].concat())
        }
        1 => (nix::errno::Errno::ENOENT as i32, Vec::new()),
        // FORGET, INTERRUPT, BATCH_FORGET
        2 | 36 | 42 => return None,
        // GETATTR
        3 => (0, [longs(&[0]), words(&[0, 0]), attributes(node)].concat()),
        // STATFS: blocks, free, available, files, free files; block size, longest name, fragment size.
        17 => (0, [longs(&[1000, 500, 400, 10, 5]), words(&[4096, 255, 4096, 0, 0, 0, 0, 0, 0, 0])].concat()),
        // INIT, version 7.31
        26 => (0, [words(&[7, 31, 65536, 0, 12 << 16 | 16, 65536, 1]), vec![0; 36]].concat()),
        // OPENDIR
        27 => (0, [longs(&[0]), words(&[0, 0])].concat()),
        // READDIR, RELEASEDIR
        28 | 29 => (0, Vec::new()),
        _ => (nix::errno::Errno::ENOSYS as i32, Vec::new()),
    };
    let length = 16 + data.len() as u32;
    Some([words(&[length]), (-error).to_ne_bytes().to_vec(), longs(&[unique]), data].concat())
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
