//! Bodies over HTTP, in JSON: what clients send, and what clients are answered.

use scenehost_protocol::v1;

use crate::json_survives;

/// One body, as each call would read it.
pub fn run(data: &[u8]) {
    json_survives::<v1::ReqSignIn>(data);
    json_survives::<v1::ReqSignInCustom>(data);
    json_survives::<v1::ReqRefresh>(data);
    json_survives::<v1::ReqSignOutHttp>(data);
    json_survives::<v1::ReqUnlink>(data);
    json_survives::<v1::ResSignIn>(data);
    json_survives::<v1::ResAccount>(data);
    json_survives::<v1::Refused>(data);
}
