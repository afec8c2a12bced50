//! What ends a node, and how it ends.

use std::time::Duration;

use placehost::Host;
use tokio::time::timeout;

use super::bootstrap::Creator;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::signals::Signals;

/// How long places that are being ended may take. Those that compute without preemption never end; the process does.
const LAST: Duration = Duration::from_secs(1);

/// Why a node ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It was told to, by a signal or a node.
    Told,
    /// Who launched it is gone.
    Abandoned,
}

/// Waits for what ends the node.
pub(super) async fn awaited(host: &Host, signals: &mut Signals, creator: Option<Creator>) -> Ending {
    let gone = async {
        match creator {
            Some(creator) => creator.gone().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = signals.next() => Ending::Told,
        () = host.stopped() => Ending::Told,
        () = gone => Ending::Abandoned,
    }
}

/// Ends the node: in good order, or at once where that is wanted a second time.
pub(super) async fn end(host: &Host, signals: &mut Signals, ending: Ending, grace: Duration) -> Result<ExitCode, CliError> {
    host.stop();
    let in_order = async {
        if ending == Ending::Told {
            // That the time may run out is what it is for.
            let _ = timeout(grace, idle(host)).await;
        }
        host.shut_down();
        host.list().iter().filter_map(|place| host.find(place.id)).for_each(|place| place.kill_soon());
        let _ = timeout(LAST, idle(host)).await;
        host.disconnect().await;
        host.clear_scratch().await;
    };
    tokio::select! {
        biased;
        code = signals.next() => Ok(code),
        () = in_order => Ok(ExitCode::SUCCESS),
    }
}

/// Waits until no place is left.
async fn idle(host: &Host) {
    while let Some(oldest) = host.list().into_iter().next() {
        // One that is not found has ended since.
        if let Some(place) = host.find(oldest.id) {
            place.wait().await;
        }
    }
}
