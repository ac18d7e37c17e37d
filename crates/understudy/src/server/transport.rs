//! A connection in clear or over TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A connection in clear or over TLS.
#[derive(Debug)]
pub(super) enum Transport {
    Clear(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

impl Transport {
    pub(super) async fn new(stream: TcpStream, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        match tls {
            None => Ok(Self::Clear(stream)),
            Some(acceptor) => Ok(Self::Secure(Box::new(acceptor.accept(stream).await?))),
        }
    }

    pub(super) fn is_secure(&self) -> bool {
        matches!(self, Self::Secure(_))
    }

    /// The host name that the client asked for in the TLS handshake.
    pub(super) fn server_name(&self) -> Option<String> {
        match self {
            Self::Clear(_) => None,
            Self::Secure(stream) => stream.get_ref().1.server_name().map(str::to_owned),
        }
    }

    /// Whether HTTP/2 was agreed upon in the TLS handshake.
    pub(super) fn agreed_on_http2(&self) -> bool {
        match self {
            Self::Clear(_) => false,
            Self::Secure(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Has the connection reset, rather than closed in an orderly way, when it is dropped.
    pub(super) fn reset_on_drop(&self) {
        let stream = match self {
            Self::Clear(stream) => stream,
            Self::Secure(stream) => stream.get_ref().0,
        };
        // Fails only on a socket that is gone, which needs no reset.
        let _ = stream.set_zero_linger();
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Secure(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(context),
            Self::Secure(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
