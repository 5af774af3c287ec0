//! Applies the core's plan to a request.

use ingress_waypoint::plan::{Edit, NAMESPACE, ORIGINAL_DST_ADDRESS, Plan, Refusal};

use crate::abi::{Flow, Refused, Stream};
use crate::text::{Address, Line, Name, show, with};

/// Makes the edits of a plan.
///
/// # Errors
/// Envoy refuses one, and the request may not go on.
pub fn edit_request(plan: &Plan<'_>, stream: &mut Stream<'_>) -> Result<(), Refused> {
    for edit in plan.edits() {
        match *edit {
            Edit::Destination(address) => {
                let address: Address = show(address)?;
                stream.set_filter_state(ORIGINAL_DST_ADDRESS, address.as_str())?;
            }
            Edit::SetHeader(name, value) => {
                with(value, |value| stream.set_header(name, Some(value)))??;
            }
            Edit::RemoveHeader(name) => stream.set_header(name, None)?,
        }
    }
    if plan.clear_route {
        stream.clear_route_cache();
    }
    Ok(())
}

/// Annotates the request, and answers it if it is refused.
///
/// # Errors
/// A text is longer than any that there is.
pub fn finish_request(plan: &Plan<'_>, stream: &mut Stream<'_>) -> Result<Flow, Refused> {
    if plan.annotate {
        for (key, value) in plan.annotations() {
            with(value, |value| stream.set_metadata(NAMESPACE, key, value))?;
        }
    }
    match plan.refusal() {
        Some(refusal) => Ok(refuse_request(refusal, stream)),
        None => Ok(Flow::Continue),
    }
}

/// Answers the request.
pub fn refuse_request(refusal: Refusal<'_>, stream: &mut Stream<'_>) -> Flow {
    // A text that does not fit would be left out, but never the answer.
    let details: Option<Name> = show(refusal.details()).ok();
    let body: Option<Line> = show(refusal).ok();
    stream.respond(
        Refusal::STATUS,
        details.as_ref().map_or("", Name::as_str),
        body.as_ref().map_or("", Line::as_str),
    );
    Flow::Stop
}
