//! Connections that can be cut, with and without TLS.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::support::pki::Authority;

/// Cuts one connection.
#[derive(Clone, Debug, Default)]
pub struct Cut(Arc<AtomicBool>);

impl Cut {
    /// Nothing is sent from now on; the connection ends at the next attempt.
    pub fn now(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> io::Result<()> {
        let is_cut = self.0.load(Ordering::SeqCst);
        if is_cut { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Connected<IncomingStream<'_, Doorway>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Doorway>) -> Self {
        stream.remote_addr().clone()
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection that [`Cut`] cuts.
pub struct Severable {
    io: Box<dyn Duplex>,
    cut: Cut,
}

impl AsyncRead for Severable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.cut.check()?;
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Severable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.cut.check()?;
        Pin::new(&mut self.io).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cut.check()?;
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cut.check()?;
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// Where connections arrive, ready to be served. It closes when dropped.
pub struct Doorway {
    arrivals: mpsc::UnboundedReceiver<Severable>,
    _doorman: JoinSet<()>,
}

impl Doorway {
    /// Opens one, with TLS by a certificate of `authority` if there is one, and says its address.
    pub async fn open(authority: Option<&Authority>) -> (Self, std::net::SocketAddr) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = authority.map(|authority| TlsAcceptor::from(Arc::new(server_config(authority))));
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let mut doorman = JoinSet::new();
        doorman.spawn(async move {
            let mut handshakes = JoinSet::new();
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let (tls, arrived) = (tls.clone(), arrived.clone());
                handshakes.spawn(async move {
                    // Who does not end the handshake, or is gone, is not served.
                    if let Ok(io) = shake_hands(connection, tls).await {
                        let _ = arrived.send(Severable { io, cut: Cut::default() });
                    }
                });
                while handshakes.try_join_next().is_some() {}
            }
        });
        (Self { arrivals, _doorman: doorman }, address)
    }
}

async fn shake_hands(
    connection: TcpStream,
    tls: Option<TlsAcceptor>,
) -> io::Result<Box<dyn Duplex>> {
    connection.set_nodelay(true)?;
    Ok(match tls {
        Some(tls) => Box::new(tls.accept(connection).await?),
        None => Box::new(connection),
    })
}

impl Listener for Doorway {
    type Io = Severable;
    type Addr = Cut;

    async fn accept(&mut self) -> (Severable, Cut) {
        match self.arrivals.recv().await {
            Some(connection) => {
                let cut = connection.cut.clone();
                (connection, cut)
            }
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Cut> {
        Ok(Cut::default())
    }
}

fn server_config(authority: &Authority) -> ServerConfig {
    let identity = authority.server();
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}
