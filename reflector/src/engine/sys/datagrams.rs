//! Receiving many datagrams in one call, with their lengths, stamps and senders.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use socket2::{SockAddr, SockAddrStorage};

/// Datagrams one call takes at most: enough to make the call cheap, few enough to stay in the cache.
const MOST: usize = 64;

/// Room for what the kernel says about one datagram: three stamps (64 bytes) and a segment size (24), aligned.
type Control = [u64; 14];

/// Buffers of a socket's reader, reused from call to call.
pub struct Batch {
    kept: usize,
    payloads: Vec<u8>,
    controls: Vec<Control>,
    names: Vec<SockAddrStorage>,
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
}

// SAFETY: the pointers in `headers` and `vectors` are written before each call from the vectors beside them and not
// used after it, so nothing is shared between threads.
unsafe impl Send for Batch {}

/// One datagram, or a train of them from the same sender received in one piece.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// As much as was kept.
    pub payload: &'a [u8],
    /// How long it really was.
    pub length: usize,
    /// Length of each datagram of a train but the last.
    pub segment: Option<usize>,
    /// When the stack took it, nanoseconds of `CLOCK_REALTIME`.
    pub software_stamp: Option<u64>,
    /// When the NIC took it, nanoseconds of the NIC's own clock.
    pub hardware_stamp: Option<u64>,
    name: Option<&'a SockAddrStorage>,
    name_length: libc::socklen_t,
}

impl Batch {
    /// Room for `datagrams` (at most 64) of which the first `kept` bytes each are wanted.
    pub fn new(datagrams: usize, kept: usize) -> Self {
        let datagrams = datagrams.clamp(1, MOST);
        Self {
            kept,
            payloads: vec![0; datagrams * kept],
            controls: vec![[0; 14]; datagrams],
            names: (0..datagrams).map(|_| SockAddrStorage::zeroed()).collect(),
            headers: Vec::with_capacity(datagrams),
            vectors: Vec::with_capacity(datagrams),
        }
    }

    /// Waits for one datagram as long as the socket's timeout says, then takes up to `most` of what is there.
    pub fn receive(&mut self, socket: impl AsFd, most: usize) -> io::Result<usize> {
        self.vectors.clear();
        self.headers.clear();
        let slots =
            self.payloads.chunks_exact_mut(self.kept.max(1)).zip(&mut self.controls).zip(&mut self.names);
        for ((payload, control), name) in slots.take(most) {
            self.vectors.push(libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: payload.len() });
            // SAFETY: `mmsghdr` is plain data for which all zeros is a valid value; musl has private padding in it.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_name = ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = name.size_of();
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of::<Control>() as _;
            self.headers.push(header);
        }
        // Only now: the vector does not grow any more.
        for (header, vector) in self.headers.iter_mut().zip(&mut self.vectors) {
            header.msg_hdr.msg_iov = ptr::from_mut(vector);
        }
        let (count, flags) =
            (libc::c_uint::try_from(self.headers.len()).unwrap_or(0), libc::MSG_WAITFORONE | libc::MSG_TRUNC);
        // SAFETY: the descriptor is open while borrowed. Each header points to a payload, a control buffer and a name of
        // its own, all in vectors of `self` that are borrowed mutably here and as long as the header says.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                self.headers.as_mut_ptr(),
                count,
                flags as _,
                ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| {
            self.headers.clear();
            io::Error::last_os_error()
        })?;
        self.headers.truncate(received);
        Ok(received)
    }

    /// What the last call received, in order.
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        let slots = self.payloads.chunks_exact(self.kept.max(1)).zip(&self.names);
        self.headers.iter().zip(slots).map(|(header, (payload, name))| {
            let length = usize::try_from(header.msg_len).unwrap_or(0);
            let mut received = Received {
                payload: payload.get(..length).unwrap_or(payload),
                length,
                segment: None,
                software_stamp: None,
                hardware_stamp: None,
                name: Some(name),
                name_length: header.msg_hdr.msg_namelen,
            };
            read_control(&header.msg_hdr, &mut received);
            received
        })
    }
}

impl Received<'_> {
    /// Who sent it.
    pub fn sender(&self) -> Option<SocketAddr> {
        let name = self.name.filter(|_| self.name_length > 0)?;
        // SAFETY: the kernel wrote `name_length` bytes of a socket address to `name`; all of it is plain bytes.
        let copy = unsafe {
            SockAddr::try_init(|storage, length| {
                ptr::copy_nonoverlapping(name, storage, 1);
                *length = self.name_length;
                Ok(())
            })
        };
        copy.ok()?.1.as_socket()
    }
}

fn read_control(header: &libc::msghdr, received: &mut Received<'_>) {
    let stamp = |time: libc::timespec| {
        let (seconds, nanos) = (u64::try_from(time.tv_sec).ok()?, u64::try_from(time.tv_nsec).ok()?);
        Some(seconds.saturating_mul(1_000_000_000).saturating_add(nanos)).filter(|stamp| *stamp > 0)
    };
    // SAFETY: `msg_control` still points to the control buffer of this header, and `msg_controllen` is what the kernel
    // wrote of it.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: null, or a control message inside that buffer, which is aligned for one.
    while let Some(message) = unsafe { next.as_ref() } {
        // SAFETY: the data of a message the kernel wrote follows its head.
        let data = unsafe { libc::CMSG_DATA(next) };
        match (message.cmsg_level, message.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => {
                // SAFETY: this type carries three timespecs: stack, unused, NIC.
                let [stack, _, nic] = unsafe { ptr::read_unaligned(data.cast::<[libc::timespec; 3]>()) };
                (received.software_stamp, received.hardware_stamp) = (stamp(stack), stamp(nic));
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                // SAFETY: this type carries one timespec.
                received.software_stamp =
                    stamp(unsafe { ptr::read_unaligned(data.cast::<libc::timespec>()) });
            }
            (libc::IPPROTO_UDP, super::options::UDP_GRO) => {
                // SAFETY: this type carries one int.
                received.segment =
                    usize::try_from(unsafe { ptr::read_unaligned(data.cast::<libc::c_int>()) }).ok();
            }
            _ => {}
        }
        // SAFETY: `next` is a message of this header's buffer.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::super::{enable_gro, enable_receive_stamps, segment_datagrams};
    use super::*;

    fn pair() -> (UdpSocket, UdpSocket) {
        let (one, two) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        one.connect(two.local_addr().unwrap()).unwrap();
        (one, two)
    }

    #[test]
    fn batch_tells_length_sender_and_stamp_of_each_datagram_and_keeps_its_beginning() {
        let (one, two) = pair();
        enable_receive_stamps(&two).unwrap();
        let mut batch = Batch::new(64, 16);
        // The stack begins to stamp a moment after it was first asked to.
        let begun = (0..10_000).any(|_| {
            one.send(&[0]).unwrap();
            std::thread::yield_now();
            batch.receive(&two, 64).unwrap() == 1 && batch.iter().all(|one| one.software_stamp.is_some())
        });
        assert!(begun);
        for length in [3_usize, 1000, 20] {
            one.send(&vec![u8::try_from(length % 251).unwrap(); length]).unwrap();
        }
        assert_eq!(batch.receive(&two, 64).unwrap(), 3);
        let got: Vec<Received<'_>> = batch.iter().collect();
        assert_eq!(got.iter().map(|one| one.length).collect::<Vec<_>>(), [3, 1000, 20]);
        assert_eq!(got.iter().map(|one| one.payload.len()).collect::<Vec<_>>(), [3, 16, 16]);
        assert_eq!(got[1].payload[0], 247);
        assert!(got.iter().all(|received| received.sender() == Some(one.local_addr().unwrap())));
        assert!(got.windows(2).all(|two| two[0].software_stamp.unwrap() <= two[1].software_stamp.unwrap()));
        assert!(got[0].segment.is_none());
    }

    #[test]
    fn train_arrives_in_one_piece_with_the_length_of_its_datagrams() {
        let (one, two) = pair();
        enable_gro(&two).unwrap();
        segment_datagrams(&one, 100).unwrap();
        one.send(&[7; 1050]).unwrap();
        let mut batch = Batch::new(4, 65_536);
        assert_eq!(batch.receive(&two, 4).unwrap(), 1);
        let train = batch.iter().next().unwrap();
        assert_eq!((train.length, train.segment), (1050, Some(100)));
    }

    #[test]
    fn no_more_datagrams_are_taken_than_asked_for() {
        let (one, two) = pair();
        for _ in 0..5 {
            one.send(&[1; 8]).unwrap();
        }
        let mut batch = Batch::new(64, 8);
        assert_eq!(batch.receive(&two, 2).unwrap(), 2);
        assert_eq!(batch.receive(&two, 64).unwrap(), 3);
        two.set_nonblocking(true).unwrap();
        assert!(batch.receive(&two, 64).is_err());
        assert_eq!(batch.iter().count(), 0, "nothing is left of the call before");
    }
}
