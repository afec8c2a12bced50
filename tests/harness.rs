//! How a test runs the command and finds the guests.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What the place `hello-world` of the slides prints.
pub(crate) const GREETED: &[&str] = &["hello-world received: Hello", "hello-world sent: Hello World"];

/// No test waits longer for the command. Reaching it is a failure: something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file in the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The component made of `examples/NAME.rs` or `tests/guests/NAME.rs`.
pub(crate) fn guest(name: &str) -> PathBuf {
    let path = repository(&format!("target/guests/wasm32-wasip2/release/examples/{name}.wasm"));
    assert!(path.exists(), "{} is not there: run scripts/build-guests.sh", path.display());
    path
}

/// A run of the command.
pub(crate) struct Run {
    command: Command,
    input: Option<Vec<u8>>,
}

/// How it went.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

/// `placehost ARGS`, without input.
pub(crate) fn placehost<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    program("placehost", args)
}

/// A program that cargo has built, by its path in the target folder.
pub(crate) fn program<S: AsRef<std::ffi::OsStr>>(path: &str, args: impl IntoIterator<Item = S>) -> Run {
    // The test binary lies in target/release/deps.
    let test = std::env::current_exe().expect("a test has a path");
    let command = test.ancestors().nth(2).expect("a test lies in a target folder").join(path);
    assert!(command.exists(), "{} is not there: scripts/test.sh builds it", command.display());
    let mut command = Command::new(command);
    command.args(args).env("PLACEHOST_CACHE", repository("target/test-cache")).env("NO_COLOR", "1");
    Run { command, input: None }
}

/// `placehost run GUEST START ARGS`.
pub(crate) fn run(name: &str, start: &str, args: &[&str]) -> Run {
    let module = guest(name);
    let mut all = vec!["run".as_ref(), module.as_os_str(), start.as_ref()];
    all.extend(args.iter().map(std::ffi::OsStr::new));
    placehost(all)
}

impl Run {
    /// Gives it this on standard input, through a pipe.
    pub(crate) fn input(self, text: &str) -> Self {
        self.input_bytes(text.as_bytes())
    }

    pub(crate) fn input_bytes(mut self, bytes: &[u8]) -> Self {
        self.input = Some(bytes.to_vec());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn dir(mut self, path: &Path) -> Self {
        self.command.current_dir(path);
        self
    }

    /// The same by way of another program, which runs what its last arguments say.
    pub(crate) fn by(self, program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).arg(self.command.get_program()).args(self.command.get_args());
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        Self { command, input: self.input }
    }

    /// Starts it with pipes for output, for a test that acts while it runs.
    pub(crate) fn start(mut self) -> Child {
        self.command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
        if let (Some(input), Some(mut pipe)) = (self.input, child.stdin.take()) {
            // A command that ends without reading it closes the pipe, which is its right.
            thread::spawn(move || pipe.write_all(&input).unwrap_or_default());
        }
        child
    }

    /// As [`Self::start`], with standard input held open: nothing comes, and it does not end.
    pub(crate) fn start_interactive(mut self) -> Child {
        let pipes = self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        pipes.spawn().expect("the command starts")
    }

    /// Runs it to its end.
    pub(crate) fn end(self) -> Ended {
        end(self.start())
    }

    /// Runs it, and expects success and this on standard output.
    #[track_caller]
    pub(crate) fn prints(self, expected: &str) {
        let ended = self.end();
        assert_eq!(ended.stdout, expected, "standard error: {}", ended.stderr);
        assert_eq!(ended.code, Some(0), "standard error: {}", ended.stderr);
    }

    /// Runs it, and expects success and these lines on standard output: those of each place in their order. What two places print,
    /// or one prints and another receives, has no order between them.
    #[track_caller]
    pub(crate) fn prints_of_each(self, places: &[&[&str]]) -> Ended {
        let ended = self.fails(0, &[]);
        let lines: Vec<_> = ended.stdout.lines().collect();
        for place in places {
            let of_it: Vec<_> = lines.iter().copied().filter(|line| place.contains(line)).collect();
            assert_eq!(of_it, *place, "standard output: {}", ended.stdout);
        }
        assert_eq!(lines.len(), places.iter().map(|place| place.len()).sum::<usize>(), "standard output: {}", ended.stdout);
        ended
    }

    /// Runs it, and expects this exit code and each of these texts on standard error.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, parts: &[&str]) -> Ended {
        let ended = self.end();
        for part in parts {
            assert!(ended.stderr.contains(part), "`{part}` is not in: {}", ended.stderr);
        }
        assert_eq!(ended.code, Some(code), "standard error: {}", ended.stderr);
        assert!(!ended.stderr.contains("thread '"), "the host panicked: {}", ended.stderr);
        ended
    }
}

impl Ended {
    /// Expects this on standard output.
    #[track_caller]
    pub(crate) fn stdout_is(&self, expected: &str) {
        assert_eq!(self.stdout, expected, "standard error: {}", self.stderr);
    }
}

/// Waits for the end of a command that was started.
pub(crate) fn end(mut child: Child) -> Ended {
    let started = Instant::now();
    let id = child.id();
    let waiter = thread::spawn(move || {
        let stdin = child.stdin.take();
        let output = child.wait_with_output();
        drop(stdin);
        output
    });
    while !waiter.is_finished() {
        if started.elapsed() > PATIENCE {
            // The process is ours and still there, for nobody has waited for it.
            let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
            panic!("the command did not end within {PATIENCE:?}");
        }
        thread::park_timeout(Duration::from_millis(2));
    }
    let Output { status, stdout, stderr } = waiter.join().expect("the waiter does not panic").expect("the command can be waited for");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended { stdout: text(stdout), stderr: text(stderr), code: status.code() }
}
