//! The same job as somebody would write it for Envoy's Lua filter.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ingress_waypoint::config::ORIGINAL_DST_HEADER;

use crate::services::Vips;

/// A function of LuaJIT holds so many constants at most; the table is filled by several.
const CONSTANTS: usize = 20_000;

/// The script: a table from authority to VIP, and the header that an ORIGINAL_DST cluster dials.
pub fn script(vips: &Vips) -> String {
    let vips: BTreeMap<_, _> = vips.0.iter().collect();
    let vips: Vec<_> = vips.into_iter().collect();
    let mut script = "local vips = {}\n".to_owned();
    for chunk in vips.chunks(CONSTANTS) {
        script.push_str("(function()\n");
        for (authority, vip) in chunk {
            // Writing to a string doesn't fail.
            let _ = writeln!(script, "vips[\"{authority}\"] = \"{vip}\"");
        }
        script.push_str("end)();\n");
    }
    script + &HANDLER.replace("HEADER", ORIGINAL_DST_HEADER)
}

const HANDLER: &str = r#"
function envoy_on_request(handle)
  local headers = handle:headers()
  local vip = vips[headers:get(":authority")]
  if vip then
    headers:replace("HEADER", vip)
    handle:clearRouteCache()
  else
    headers:remove("HEADER")
  end
end
"#;
