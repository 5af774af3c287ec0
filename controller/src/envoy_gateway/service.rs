//! The calls of the gRPC service.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use gateway::endpoints;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Code, Status as Refusal};
use tonic_prost::ProstCodec;

use super::counts::ENDPOINTS;
use super::messages::{Single, TranslateRequest, TranslateResponse};
use super::{Counts, Filter, Hook, Missing};

/// The service.
#[derive(Clone)]
pub(super) struct Calls {
    pub hook: Arc<Hook>,
    pub counts: Arc<Counts>,
    pub missing: Missing,
    /// What is put into a proxy's resources, in the place of VIPs in endpoints.
    pub filter: Option<Arc<Filter>>,
}

impl NamedService for Calls {
    const NAME: &'static str = "envoygateway.extension.EnvoyGatewayExtension";
}

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Service<Request<Body>> for Calls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pending<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        Box::pin(async move {
            Ok(match method.as_str() {
                ENDPOINTS => this.answer(request, ENDPOINTS, Self::endpoints).await,
                "PostTranslateModify" => {
                    this.answer(request, "PostTranslateModify", Self::translate).await
                }
                "PostRouteModify" => this.answer(request, "PostRouteModify", unchanged).await,
                "PostVirtualHostModify" => {
                    this.answer(request, "PostVirtualHostModify", unchanged).await
                }
                "PostHTTPListenerModify" => {
                    this.answer(request, "PostHTTPListenerModify", unchanged).await
                }
                "PostClusterModify" => this.answer(request, "PostClusterModify", unchanged).await,
                _ => {
                    this.counts.called("unknown", Code::Unimplemented);
                    let refusal = Refusal::unimplemented(format!("{method} is not known"));
                    refusal.into_http()
                }
            })
        })
    }
}

type Answer<I, O> = fn(&Calls, I) -> Result<O, Refusal>;

/// Envoy Gateway goes on as if it had not asked. Of several extension servers, the next one gets what is returned here.
fn unchanged(_: &Calls, request: Single) -> Result<Single, Refusal> {
    Ok(request)
}

impl Calls {
    async fn answer<I, O>(
        self,
        request: Request<Body>,
        hook: &'static str,
        answer: Answer<I, O>,
    ) -> Response<Body>
    where
        I: prost::Message + Default + 'static,
        O: prost::Message + Default + 'static,
    {
        // Envoy Gateway's own limit is what counts (maxMessageSize).
        let mut grpc = Grpc::new(ProstCodec::<O, I>::default())
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        grpc.unary(Call { calls: self, hook, answer }, request).await
    }

    /// VIPs in the place of the endpoints of a cluster.
    fn endpoints(&self, request: Single) -> Result<Single, Refusal> {
        if self.filter.is_some() {
            return Ok(request);
        }
        let Some(table) = self.hook.ask() else { return Err(self.not_ready()) };
        let Some(assignment) = request.resource else { return Ok(request) };
        let edited = endpoints::edit(&assignment, &table.policy)
            .map_err(|error| Refusal::invalid_argument(error.to_string()))?;
        edited.outcomes.iter().for_each(|it| self.counts.decided(*it));
        Ok(Single { resource: Some(edited.assignment.into()) })
    }

    /// Everything that Envoy Gateway has made for a proxy. In an answer without it, it would be gone.
    fn translate(&self, request: TranslateRequest) -> Result<TranslateResponse, Refusal> {
        let Some(filter) = &self.filter else { return Ok(request.into()) };
        let table = self.hook.table();
        let answer = match &table {
            Some(table) => filter.translate(request, table),
            None => Err(self.not_ready()),
        };
        if answer.is_err() {
            self.hook.refused(table.as_deref());
        }
        answer
    }

    fn not_ready(&self) -> Refusal {
        let missing = (self.missing)().join("; ");
        Refusal::unavailable(format!("the controller is not ready: {missing}"))
    }
}

/// A call of one hook.
struct Call<I, O> {
    calls: Calls,
    hook: &'static str,
    answer: Answer<I, O>,
}

impl<I, O> UnaryService<I> for Call<I, O>
where
    I: prost::Message + Default + 'static,
    O: prost::Message + Default + 'static,
{
    type Response = O;
    type Future = std::future::Ready<Result<tonic::Response<O>, Refusal>>;

    fn call(&mut self, request: tonic::Request<I>) -> Self::Future {
        let Self { calls, hook, answer } = self;
        let answered = answer(calls, request.into_inner());
        let code = answered.as_ref().err().map_or(Code::Ok, Refusal::code);
        calls.counts.called(hook, code);
        // Until something is published, all calls are refused: one line is enough.
        let is_told = |code| code != Code::Unavailable || calls.hook.is_first_refusal();
        if let Err(refusal) = answered.as_ref()
            && is_told(code)
        {
            tracing::warn!(hook, ?code, "Envoy Gateway was refused: {}", refusal.message());
        }
        std::future::ready(answered.map(tonic::Response::new))
    }
}
