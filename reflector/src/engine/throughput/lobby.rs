//! Connections that have not yet said who they are. A few, each with a deadline; when one more comes, the oldest goes.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;

use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;

/// Room for connections without a cookie. A client opens its connections one after the other and sends the cookie at once,
/// so a full room is somebody else's work (test `silent_connections_make_room_for_the_client`).
pub(super) const ROOM: usize = 8;

type Waiting<T> = Pin<Box<dyn Future<Output = (u64, Option<T>)> + Send>>;

/// Who waits here. Dropping it drops, and so resets, them all.
pub(super) struct Lobby<T> {
    waiting: FuturesUnordered<Abortable<Waiting<T>>>,
    oldest_first: VecDeque<(u64, AbortHandle)>,
    entered: u64,
}

impl<T: Send + 'static> Lobby<T> {
    pub(super) fn new() -> Self {
        Self { waiting: FuturesUnordered::new(), oldest_first: VecDeque::new(), entered: 0 }
    }

    /// One more. What it resolves to comes out of [`Self::next`]; `None`: it is gone.
    pub(super) fn enter(&mut self, guest: impl Future<Output = Option<T>> + Send + 'static) {
        if self.oldest_first.len() >= ROOM
            && let Some((_, oldest)) = self.oldest_first.pop_front()
        {
            oldest.abort();
        }
        self.entered = self.entered.wrapping_add(1);
        let number = self.entered;
        let (handle, registration) = AbortHandle::new_pair();
        let guest: Waiting<T> = Box::pin(async move { (number, guest.await) });
        self.waiting.push(Abortable::new(guest, registration));
        self.oldest_first.push_back((number, handle));
    }

    /// Resolves when nobody is here any more. Who gets through meanwhile is dropped, and so reset.
    pub(super) async fn empty(&mut self) {
        while !self.oldest_first.is_empty() {
            if let Some(Ok((number, _))) = self.waiting.next().await {
                self.oldest_first.retain(|(waiting, _)| *waiting != number);
            }
        }
    }

    /// The next that is through. Cancel-safe. Waits for ever while nobody is here.
    pub(super) async fn next(&mut self) -> T {
        loop {
            match self.waiting.next().await {
                Some(Ok((number, guest))) => {
                    self.oldest_first.retain(|(waiting, _)| *waiting != number);
                    if let Some(guest) = guest {
                        return guest;
                    }
                }
                // Made room.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn the_oldest_makes_room_and_who_is_through_takes_none() {
        let mut lobby = Lobby::new();
        let (mut doors, mut guests): (Vec<_>, Vec<_>) =
            (0..=ROOM).map(|_| oneshot::channel::<usize>()).unzip();
        guests.reverse();
        for _ in 0..ROOM {
            let guest = guests.pop().unwrap();
            lobby.enter(async { guest.await.ok() });
        }
        doors.remove(3).send(3).unwrap();
        assert_eq!(lobby.next().await, 3);
        let last = guests.pop().unwrap();
        lobby.enter(async { last.await.ok() });
        lobby.enter(async { Some(99) });
        assert_eq!(lobby.next().await, 99);
        assert!(lobby.next().now_or_never().is_none());
        assert!(doors.remove(0).is_closed(), "the oldest is gone");
        assert!(doors.iter().all(|door| !door.is_closed()), "nobody else is");
        assert!(lobby.empty().now_or_never().is_none(), "they still are");
        drop(doors);
        lobby.empty().await;
    }
}
