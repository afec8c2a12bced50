//! How a job went, as its launcher says it: the `Report` of `places-mpi`.

use std::sync::Arc;

use placehost::ExitReason;
use serde_json::Value;

use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;

/// The exit code of a job that went well, or what went wrong.
///
/// # Errors
/// It did.
pub(super) fn explain(start: &str, report: &Value) -> Result<ExitCode, CliError> {
    if report == "done" {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(failed) = report.get("failed") {
        let reason = reason(&failed["reason"]);
        let (rank, host) = (&failed["rank"], failed["host"].as_str().unwrap_or_default());
        let error = CliError::new(ExitCode::of(&reason), format!("rank {rank} of `{start}`, on the node `{host}`, {reason}"));
        return Err(match &reason {
            ExitReason::Trapped { backtrace, .. } => backtrace.lines().fold(error, CliError::cause),
            ExitReason::Limit(which) if which.contains("memory") => error.hint("give each rank more with `--memory`"),
            _ => error,
        });
    }
    if let Some(deadlock) = report.get("deadlock") {
        let waits = deadlock["waits"].as_array().map(Vec::as_slice).unwrap_or_default();
        let error = CliError::new(ExitCode::FAILED, "all ranks wait for each other, and no message is under way");
        return Err(waits.iter().filter_map(Value::as_str).fold(error, CliError::cause));
    }
    let why = report["cannot"]["why"].as_str().map_or_else(|| report.to_string(), str::to_owned);
    Err(CliError::new(ExitCode::CANNOT, why))
}

/// How a rank ended.
fn reason(reason: &Value) -> ExitReason {
    let text = |key: &str| reason[key].as_str().map(Arc::from);
    if let Some(code) = reason["exited"].as_u64() {
        return ExitReason::Exited(u8::try_from(code).unwrap_or(u8::MAX));
    }
    if let Some(trap) = reason.get("trapped") {
        let text = |key: &str| trap[key].as_str().unwrap_or_default().into();
        return ExitReason::Trapped { message: text("message"), backtrace: text("backtrace") };
    }
    let spoken = [
        text("failed").map(ExitReason::Failed),
        text("limit").map(ExitReason::Limit),
        text("linked").map(ExitReason::Linked),
        (reason == "node-lost").then_some(ExitReason::NodeLost),
    ];
    spoken.into_iter().flatten().next().unwrap_or(ExitReason::Killed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_code_is_that_of_the_rank() {
        let code = |reason: Value| {
            let error = explain("job", &json!({ "failed": { "rank": 3, "host": "a", "reason": reason } })).unwrap_err();
            assert!(error.message().starts_with("rank 3 of `job`, on the node `a`, "), "{}", error.message());
            i32::from(error.report())
        };
        assert_eq!(explain("job", &json!("done")).unwrap(), ExitCode::SUCCESS);
        assert_eq!(code(json!({ "exited": 7 })), 7);
        assert_eq!(code(json!({ "failed": "no" })), 1);
        assert_eq!(code(json!({ "trapped": { "message": "m", "backtrace": "a\nb" } })), 134);
        assert_eq!(code(json!({ "limit": "its memory" })), 124);
        assert_eq!(code(json!("node-lost")), 69);
        assert_eq!(code(json!("killed")), 137);
    }

    #[test]
    fn a_deadlock_names_who_waits() {
        let error = explain("job", &json!({ "deadlock": { "waits": ["rank 0: recv", "rank 1: recv"] } })).unwrap_err();
        assert_eq!(error.causes(), ["rank 0: recv", "rank 1: recv"]);
    }
}
