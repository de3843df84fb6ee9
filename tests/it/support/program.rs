//! The real program, run as a user runs it.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::sockopt::ReuseAddr;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockProtocol, SockType, SockaddrIn};
use nix::unistd::Pid;

use super::wait_for;

/// The program with nothing of this environment that could change what it does.
pub fn metricsd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metricsd"));
    command.env_clear().env("PATH", "/usr/bin:/bin");
    // Log lines without a time, as under systemd.
    command.env("JOURNAL_STREAM", "0:0");
    // What waits must not outlive a test, nor be met by the next one.
    command.env("STATE_DIRECTORY", state_dir());
    command
}

/// A directory for one program's spools, below one for the whole test run.
fn state_dir() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static RUN: std::sync::OnceLock<TempDir> = std::sync::OnceLock::new();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    RUN.get_or_init(TempDir::new).path().join(format!("state-{number}"))
}

/// What stands in every secret of these tests.
pub const SECRET: &str = "s3cr3t";

/// That nothing a program says holds a secret, as it is or in base64. Asked of all that any
/// test's program prints or serves.
#[track_caller]
pub fn assert_no_secret(said: &str) {
    let mut forms = vec![SECRET.to_owned()];
    // Three ways to lie across groups of three bytes; the characters that it alone decides.
    for before in 0..3 {
        let encoded = STANDARD.encode(format!("{}{SECRET}xx", &"xx"[..before]));
        forms.push(encoded[(8 * before).div_ceil(6)..8 * (before + SECRET.len()) / 6].to_owned());
    }
    let line = said.lines().find(|line| forms.iter().any(|form| line.contains(form.as_str())));
    assert_eq!(line, None, "a secret was printed");
}

/// What it printed, as text.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs `command` to its end.
pub fn run(command: &mut Command) -> Ran {
    let ran: Ran = command.stdin(Stdio::null()).output().unwrap().into();
    assert_no_secret(&ran.stdout);
    assert_no_secret(&ran.stderr);
    ran
}

/// A running metricsd; killed when dropped.
pub struct Daemon {
    child: Child,
    pub port: u16,
    stderr: Captured,
}

impl Daemon {
    /// Starts it with `config`, in which `PORT` stands for a free port, and waits until it serves.
    pub fn start(dir: &Path, config: &str) -> Daemon {
        let port = free_port();
        let path = dir.join("config.json");
        std::fs::write(&path, config.replace("PORT", &port.to_string())).unwrap();
        Daemon::spawn(metricsd().arg("-config").arg(&path), port)
    }

    /// Starts `command`, which serves on `port`, and waits until it does.
    pub fn spawn(command: &mut Command, port: u16) -> Daemon {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = Captured::default();
        stderr.take(child.stderr.take().unwrap());
        let mut daemon = Daemon { child, port, stderr };
        wait_for("metricsd to be ready", || {
            if let Some(status) = daemon.child.try_wait().unwrap() {
                panic!("metricsd ended with {status}:\n{}", daemon.log());
            }
            // One that wants credentials answers 401 from the start on.
            daemon.get("/ready").filter(|(status, _)| matches!(status, 200 | 401))
        });
        daemon
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.stderr.text()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// A file of its `/proc` directory.
    pub fn proc(&self, file: &str) -> PathBuf {
        format!("/proc/{}/{file}", self.child.id()).into()
    }

    /// Status and body of one of its pages; none where nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut response = agent.get(format!("http://127.0.0.1:{}{path}", self.port)).call().ok()?;
        let page = response.body_mut().read_to_string().ok()?;
        assert_no_secret(&page);
        Some((response.status().as_u16(), page))
    }

    /// The value of the sample whose line starts with `series`.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let (_, page) = self.get("/metrics")?;
        page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// Sends `signal`.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for its end; the exit code.
    pub fn wait(&mut self) -> i32 {
        wait_for("metricsd to end", || self.child.try_wait().unwrap()).code().unwrap_or(-1)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("metricsd logged:\n{}", self.log());
        } else {
            assert_no_secret(&self.log());
        }
    }
}

/// What a running program writes, as it comes.
#[derive(Clone, Default)]
pub struct Captured(Arc<Mutex<String>>);

impl Captured {
    /// Reads `pipe` to its end, on a thread of its own.
    pub fn take(&self, mut pipe: impl Read + Send + 'static) {
        let text = Arc::clone(&self.0);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                text.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
        });
    }

    /// All of it so far.
    pub fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

/// A port for a program to listen on: free now, and handed out once in this process.
///
/// Ports that the kernel picks for connections come from a range of their own. One of those
/// may be lost while nobody listens on it, be it to a client that, trying to connect to it,
/// is given the very port and finds itself at the other end.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first: u32 = range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32768);
    let (low, span) = if first > 12_000 { (10_000, first - 10_000) } else { (20_000, 10_000) };
    // Another test run on this machine begins elsewhere.
    let start = std::process::id().wrapping_mul(251) % span;
    let ports = (0..span).map(|_| (low + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % span) as u16);
    ports.into_iter().find(|port| is_free(*port)).expect("no port is free")
}

/// Whether nobody listens there. Does not listen itself: a program that another thread starts
/// at the same time would hold such a socket for a moment more, and the port with it.
fn is_free(port: u16) -> bool {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket::socket(AddressFamily::Inet, SockType::Stream, flags, SockProtocol::Tcp).unwrap();
    socket::setsockopt(&socket, ReuseAddr, &true).unwrap();
    socket::bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port)).is_ok()
}

/// A directory that is gone with the value.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("metricsd-it-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
