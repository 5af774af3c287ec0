//! `strip-exports IN.wasm OUT.wasm EXPORT[=NAME]...`
//!
//! Every `proxy_on_*` callback that the SDK exports is a callback that Envoy makes, whether or not
//! the filter has anything to do there. This tool deletes all exports but those it is given, the
//! code that only the deleted ones reached, and the custom sections (names, producers, DWARF). `EXPORT=NAME`
//! keeps the export NAME, and calls it EXPORT: where the SDK has a callback of that name already.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io, process};

use walrus::{Module, ModuleConfig};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let [input, output, keep @ ..] = args.as_slice() else {
        eprintln!("usage: strip-exports IN.wasm OUT.wasm EXPORT[=NAME]...");
        return ExitCode::from(2);
    };
    match run(Path::new(input), Path::new(output), keep) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("strip-exports: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(input: &Path, output: &Path, keep: &[String]) -> Result<String, String> {
    let words = keep.len();
    let keep: Names<'_> = keep
        .iter()
        .map(|word| word.split_once('=').unwrap_or((word, word)))
        .map(|(export, name)| (name, export))
        .collect();
    if BTreeSet::from_iter(keep.values()).len() < words {
        return Err("an export is named twice".into());
    }
    if keep.is_empty() {
        return Err("no export to keep was named".into());
    }
    let wasm = fs::read(input).map_err(|e| format!("{}: {e}", input.display()))?;
    let stripped = strip(&wasm, &keep).map_err(|e| format!("{}: {e}", input.display()))?;
    write_atomically(output, &stripped).map_err(|e| format!("{}: {e}", output.display()))?;
    Ok(format!(
        "{}: {} KiB, {} exports",
        output.display(),
        stripped.len().div_ceil(1024),
        keep.len()
    ))
}

/// The exports to keep by the names they have, each with the one it gets.
type Names<'a> = BTreeMap<&'a str, &'a str>;

/// `wasm` with the exports `keep` only.
fn strip(wasm: &[u8], keep: &Names<'_>) -> Result<Vec<u8>, String> {
    let mut module = ModuleConfig::new()
        .generate_name_section(false)
        .generate_producers_section(false)
        .generate_dwarf(false)
        .parse(wasm)
        .map_err(|e| format!("not a WebAssembly module: {e:#}"))?;

    let present: BTreeSet<&str> = module.exports.iter().map(|e| e.name.as_str()).collect();
    let missing: Vec<&str> = keep.keys().copied().filter(|name| !present.contains(name)).collect();
    if !missing.is_empty() {
        return Err(format!(
            "does not export {} (it exports {})",
            missing.join(", "),
            Vec::from_iter(present).join(", ")
        ));
    }

    keep_exports(&mut module, keep);
    drop_custom_sections(&mut module);
    walrus::passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

fn keep_exports(module: &mut Module, keep: &Names<'_>) {
    let ids: Vec<_> = module.exports.iter().map(|export| export.id()).collect();
    for id in ids {
        match keep.get(module.exports.get(id).name.as_str()) {
            Some(name) => module.exports.get_mut(id).name = (*name).to_owned(),
            None => module.exports.delete(id),
        }
    }
}

/// The sections that walrus knows are left out by its configuration; these are all the others.
fn drop_custom_sections(module: &mut Module) {
    let ids: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for id in ids {
        module.customs.delete(id);
    }
}

/// Writes next to `path` and renames, so that an Envoy which starts meanwhile never reads half a
/// module.
fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut scratch = path.as_os_str().to_owned();
    scratch.push(format!(".{}.tmp", process::id()));
    let scratch = Path::new(&scratch);
    fs::write(scratch, bytes)
        .and_then(|()| fs::rename(scratch, path))
        .inspect_err(|_| drop(fs::remove_file(scratch)))
}

#[cfg(test)]
mod tests {
    use walrus::{FunctionBuilder, RawCustomSection, ValType};

    use super::*;

    /// Exports `used` (which calls a function of its own), `unused` and `memory`; has a name
    /// section, a producers section and a custom section.
    fn sample() -> Vec<u8> {
        let mut module = Module::default();
        let function = |module: &mut Module, name: &str, result: i32| {
            let mut builder = FunctionBuilder::new(&mut module.types, &[], &[ValType::I32]);
            builder.name(name.into()).func_body().i32_const(result);
            builder.finish(vec![], &mut module.funcs)
        };
        let helper = function(&mut module, "helper", 1);
        let unused = function(&mut module, "unused", 2);
        let mut used = FunctionBuilder::new(&mut module.types, &[], &[ValType::I32]);
        used.func_body().call(helper);
        let used = used.finish(vec![], &mut module.funcs);
        let memory = module.memories.add_local(false, false, 1, None, None);

        module.exports.add("used", used);
        module.exports.add("unused", unused);
        module.exports.add("memory", memory);
        module.producers.add_language("Rust", "1.0");
        module.customs.add(RawCustomSection { name: "target_features".into(), data: vec![0] });
        module.emit_wasm()
    }

    fn exports(module: &Module) -> Vec<&str> {
        module.exports.iter().map(|e| e.name.as_str()).collect()
    }

    fn contains(wasm: &[u8], text: &str) -> bool {
        wasm.windows(text.len()).any(|bytes| bytes == text.as_bytes())
    }

    fn names<'a>(names: &[&'a str]) -> Names<'a> {
        names.iter().map(|name| (*name, *name)).collect()
    }

    #[test]
    fn a_kept_export_takes_the_name_of_one_that_goes() {
        let after = strip(&sample(), &Names::from([("used", "unused"), ("memory", "memory")]));
        let after = Module::from_buffer(&after.unwrap()).unwrap();
        assert_eq!(exports(&after), ["unused", "memory"]);
        assert_eq!(after.funcs.iter().count(), 2, "`used` and its helper");
    }

    #[test]
    fn keeps_what_the_kept_exports_reach() {
        let before = Module::from_buffer(&sample()).unwrap();
        assert_eq!(exports(&before), ["used", "unused", "memory"]);
        assert_eq!(before.funcs.iter().count(), 3);

        let after = strip(&sample(), &names(&["memory", "used"])).unwrap();
        let after = Module::from_buffer(&after).unwrap();
        assert_eq!(exports(&after), ["used", "memory"]);
        assert_eq!(after.funcs.iter().count(), 2, "`used` and its helper");
    }

    #[test]
    fn drops_custom_sections() {
        let sections = ["name", "producers", "target_features"];
        let before = sample();
        let after = strip(&before, &names(&["used"])).unwrap();
        for section in sections {
            assert!(contains(&before, section), "{section}");
            assert!(!contains(&after, section), "{section}");
        }
    }

    #[test]
    fn a_missing_export_is_named() {
        let problem = strip(&sample(), &names(&["memory", "proxy_on_tick"])).unwrap_err();
        assert_eq!(problem, "does not export proxy_on_tick (it exports memory, unused, used)");
    }

    #[test]
    fn junk_is_an_error() {
        let problem = strip(b"\0asm junk", &names(&["memory"])).unwrap_err();
        assert!(problem.starts_with("not a WebAssembly module: "), "{problem}");
    }
}
