//! A real sshd, for a test alone: keys, settings and a port of its own, and nobody else can log in.
//!
//! The test listens, and starts an sshd for each connection (`sshd -i`), so that no port must be guessed and no server be stopped.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

use crate::harness::repository;
use crate::lab::until;
use crate::machines::skip;

/// Where Debian, Fedora and Alpine put it; it must be called by its whole path.
const SSHD: &str = "/usr/sbin/sshd";

/// An sshd, and an ssh that knows it as `host2`. It ends with the test.
pub(crate) struct Sshd {
    folder: TempDir,
    address: SocketAddr,
    over: Arc<AtomicBool>,
    serving: Option<JoinHandle<Vec<Child>>>,
    /// The command that reaches it.
    pub(crate) ssh: String,
    /// The command over there, which is found by its name too.
    pub(crate) placehost: String,
    /// Who one is over there.
    pub(crate) user: String,
}

impl Sshd {
    /// None, which is said, where there is no sshd or nobody can log in.
    pub(crate) fn new() -> Option<Self> {
        match Self::start() {
            Ok(sshd) => Some(sshd),
            Err(why) => skip(&format!("no sshd: {why}")),
        }
    }

    fn start() -> Result<Self, String> {
        if !Path::new(SSHD).exists() {
            return Err(format!("there is no {SSHD}: scripts/setup-tests.sh says how to get it"));
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let user = run(Command::new("id").arg("-un"))?.trim().to_owned();
        if user == "root" {
            // It wants that as its empty root while it does not know yet who calls.
            fs::create_dir_all("/run/sshd").map_err(|error| format!("cannot make /run/sshd: {error}"))?;
        }
        let file = |name: &str| folder.path().join(name);
        for key in ["machine", "key", "other"] {
            run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file(key)))?;
        }
        fs::copy(file("key.pub"), file("authorized")).map_err(|error| error.to_string())?;
        let (config, ssh, bin) = (file("sshd_config"), file("ssh"), file("bin"));
        fs::write(&config, server_config(folder.path())).map_err(|error| error.to_string())?;
        fs::write(file("ssh_config"), client_config(folder.path(), address.port())).map_err(|error| error.to_string())?;
        script(&ssh, &format!("echo $$ >> '{}'\nexec ssh -F '{}' \"$@\"", file("pids").display(), file("ssh_config").display()));
        fs::create_dir(&bin).map_err(|error| error.to_string())?;
        let over = Arc::new(AtomicBool::new(false));
        let serving = {
            let over = Arc::clone(&over);
            thread::spawn(move || serve(&listener, &config, &over))
        };
        let text = |path: PathBuf| path.to_str().expect("its path is text").to_owned();
        let (ssh, placehost) = (text(ssh), text(bin.join("placehost")));
        let sshd = Self { folder, address, over, serving: Some(serving), ssh, placehost, user };
        sshd.put_placehost();
        sshd.know_machine("machine.pub");
        // Whether anybody can log in is the machine's affair and no test's.
        run(Command::new(&sshd.ssh).args(["-o", "BatchMode=yes", "host2", "true"]))?;
        Ok(sshd)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put_placehost(&self) {
        let test = std::env::current_exe().expect("a test has a path");
        let placehost = test.ancestors().nth(2).expect("a test lies in a target folder").join("placehost");
        let note = format!("echo $$ >> '{}'\nexec '{}' \"$@\"", self.file("pids").display(), placehost.display());
        script(Path::new(&self.placehost), &note);
    }

    /// From now on who logs in is greeted before anything else is done.
    pub(crate) fn greet(&self) {
        self.add_to_placehost("echo Welcome; echo '{ not JSON }'");
    }

    /// From now on placehost says that it listens where nobody does.
    pub(crate) fn mislead(&self) {
        self.add_to_placehost("echo '{\"port\": 1, \"addresses\": [\"127.0.0.1:1\"]}'; exec cat");
    }

    /// A command that sends back what it is sent.
    pub(crate) fn echo(&self) -> String {
        let echo = self.file("echo");
        script(&echo, "head -n 1");
        echo.to_str().expect("its path is text").to_owned()
    }

    fn add_to_placehost(&self, first: &str) {
        let script_text = fs::read_to_string(&self.placehost).expect("it is ours");
        let (note, exec) = script_text.split_once("exec").expect("it is ours");
        let note = note.trim_start_matches("#!/bin/sh\n");
        script(Path::new(&self.placehost), &format!("{note}{first}\nexec{exec}"));
    }

    /// From now on there is no placehost over there.
    pub(crate) fn remove_placehost(&self) {
        fs::remove_file(&self.placehost).expect("it is there");
    }

    /// From now on another key is ours.
    pub(crate) fn forget_key(&self) {
        for (from, to) in [("other", "key"), ("other.pub", "key.pub")] {
            fs::copy(self.file(from), self.file(to)).expect("it is ours");
        }
    }

    /// From now on ssh does not know the machine.
    pub(crate) fn forget_machine(&self) {
        fs::write(self.file("known"), "").expect("it is ours");
    }

    /// From now on ssh expects another key of the machine.
    pub(crate) fn mistake_machine(&self) {
        self.know_machine("other.pub");
    }

    fn know_machine(&self, key: &str) {
        let key = fs::read_to_string(self.file(key)).expect("it is ours");
        fs::write(self.file("known"), format!("the-machine {key}")).expect("it is ours");
    }

    /// The processes that were started by the commands `ssh` and `placehost`, and are there still.
    fn processes(&self) -> Vec<String> {
        let pids = fs::read_to_string(self.file("pids")).unwrap_or_default();
        pids.lines().filter(|pid| is_alive(pid)).map(str::to_owned).collect()
    }

    /// Whether ssh and the node run.
    pub(crate) fn are_there(&self) -> bool {
        self.processes().len() == 2
    }

    /// Waits until neither an ssh nor a node runs.
    #[track_caller]
    pub(crate) fn nothing_is_left(&self) {
        until(|| self.processes().is_empty());
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // It accepts once more, and sees that it is over.
        let _ = TcpStream::connect(self.address);
        let children = self.serving.take().map(JoinHandle::join);
        for mut child in children.into_iter().flatten().flatten() {
            // Most have ended with their connection.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn serve(listener: &TcpListener, config: &Path, over: &AtomicBool) -> Vec<Child> {
    let mut children = Vec::new();
    for stream in listener.incoming() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let stream = OwnedFd::from(stream.expect("it listens"));
        let (stdin, stdout) = (stream.try_clone().expect("there are descriptors"), stream);
        let mut sshd = Command::new(SSHD);
        sshd.arg("-i").arg("-f").arg(config).stdin(stdin).stdout(stdout).stderr(Stdio::null());
        children.push(sshd.spawn().expect("it is there"));
    }
    children
}

fn server_config(folder: &Path) -> String {
    let (folder, cache) = (folder.display(), repository("target/test-cache"));
    format!(
        "HostKey {folder}/machine\n\
         AuthorizedKeysFile {folder}/authorized\n\
         StrictModes no\n\
         PermitRootLogin yes\n\
         PubkeyAuthentication yes\n\
         PasswordAuthentication yes\n\
         KbdInteractiveAuthentication no\n\
         UsePAM no\n\
         PrintMotd no\n\
         PidFile none\n\
         SetEnv PATH={folder}/bin:/usr/bin:/bin PLACEHOST_CACHE={cache}\n",
        cache = cache.display(),
    )
}

fn client_config(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "Host closed\n  HostName 127.0.0.1\n  Port 1\n\
         Host host2\n  HostName 127.0.0.1\n\
         Host *\n\
           Port {port}\n\
           HostKeyAlias the-machine\n\
           UserKnownHostsFile {folder}/known\n\
           GlobalKnownHostsFile none\n\
           IdentityFile {folder}/key\n\
           IdentitiesOnly yes\n\
           IdentityAgent none\n"
    )
}

/// Writes a program for the shell. Another process does it: what this one has open for writing, a command that another thread
/// starts has open for a moment, and meanwhile nobody can run it.
pub(crate) fn script(path: &Path, text: &str) {
    let mut install =
        Command::new("install").args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped()).spawn().expect("it is there");
    install.stdin.take().expect("it is a pipe").write_all(format!("#!/bin/sh\n{text}\n").as_bytes()).expect("it reads");
    assert!(install.wait().expect("it is ours").success());
}

/// Whether a process runs; one that nobody has waited for yet does not.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z')))
}

fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().display().to_string();
    let Output { status, stdout, stderr } = command.output().map_err(|error| format!("`{name}`: {error}"))?;
    match status.success() {
        true => Ok(String::from_utf8_lossy(&stdout).into_owned()),
        false => Err(format!("`{name}`: {}", String::from_utf8_lossy(&stderr).trim())),
    }
}
