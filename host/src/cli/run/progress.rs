//! How far a module has come that is shipped: a bar, where somebody sees it and it takes long enough to be seen.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use placehost::{OnShipping, Shipping};

/// A smaller module is there before anybody could read about it.
const LARGE: u64 = 256 << 10;
/// What takes no longer needs no bar.
const LONG: Duration = Duration::from_millis(300);

/// The bar. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// What hears how far modules have come; nothing where there is no terminal.
    pub(super) fn listener(&self) -> Option<OnShipping> {
        let progress = self.clone();
        io::stderr().is_terminal().then(|| Arc::new(move |shipping: Shipping<'_>| progress.show(&shipping)) as OnShipping)
    }

    fn show(&self, Shipping { module, sent, size, .. }: &Shipping<'_>) {
        if *size <= LARGE {
            return;
        }
        let mut state = self.state();
        if sent >= size {
            return state.clear();
        }
        let began = *state.began.get_or_insert_with(Instant::now);
        if began.elapsed() >= LONG {
            state.bar.get_or_insert_with(|| bar(module, *size)).set_position(*sent);
        }
    }

    /// Takes the bar away, for something else is to be said.
    pub(super) fn clear(&self) {
        self.state().clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn clear(&mut self) {
        self.began = None;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn bar(module: &str, size: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{msg} {bar:30} {bytes} of {total_bytes}").expect("the template is well-formed");
    bar.set_style(style);
    bar.set_message(format!("Shipping `{module}`"));
    bar
}
