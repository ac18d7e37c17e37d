//! One request after another on each connection.

use std::io;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Window;
use super::connection::Connection;
use super::tally::Tally;
use super::target::Target;

/// Starts so many connections.
pub(super) fn start(tasks: &mut JoinSet<Tally>, connections: usize, target: &Target, window: Window) {
    for _ in 0..connections {
        let target = target.clone();
        tasks.spawn(async move {
            let mut tally = Tally::default();
            tokio::select! {
                () = requests(&target, window, &mut tally) => {}
                () = tokio::time::sleep_until(window.end) => {}
            }
            tally
        });
    }
}

async fn requests(target: &Target, window: Window, tally: &mut Tally) {
    let mut connection = Connection::default();
    loop {
        let begin = Instant::now();
        let status = connection.exchange(target, |_| ()).await;
        let now = Instant::now();
        if window.contains(now) {
            tally.record(&status, now - begin);
        }
        after_failure(&status).await;
    }
}

/// Waits a little after a failure: a server that is not there is not to be asked without pause.
pub(super) async fn after_failure(status: &io::Result<u16>) {
    if status.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
