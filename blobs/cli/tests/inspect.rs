//! What is drawn, what programs are told, and what is refused: for our objects and for those of the machine.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic)] // That is how tests fail.

mod common;

use std::path::Path;

use common::{Scratch, command, done, image, refused};
use serde_json::{Value, json};

fn inspected(object: &Path, more: &[&str]) -> String {
    String::from_utf8(done(command(["inspect"]).arg(object).args(more)).stdout).unwrap()
}

#[test]
fn a_drawing() {
    let scratch = Scratch::new();
    let built = scratch.blob().stack(8192).try_build().unwrap();
    let (image, drawn) = (built.image(), inspected(built.object(), &[]));
    for segment in image.segments() {
        let line = drawn.lines().find(|line| line.contains(&format!("{:x}..", segment.offset))).unwrap();
        assert!(line.contains(&segment.permissions.to_string()), "{line}");
        assert_eq!(line.contains('#'), segment.initialised > 0, "{line}");
        let zero = line.split_once('[').unwrap().1.split_once(']').unwrap().0.contains('.');
        assert_eq!(zero, segment.initialised < segment.size, "{line}");
        assert_eq!(line.ends_with("stack"), image.stack().unwrap().start == segment.offset, "{line}");
    }
    let answer = drawn.lines().find(|line| line.contains("answer")).unwrap();
    let offset = format!("{:x}  code", image.export("answer").unwrap().offset());
    assert!(answer.contains(&offset), "{answer}");
    let count = image.relocations().len();
    assert!(drawn.contains(&format!("relocations: {count}\n")) && drawn.contains("Relative64"), "{drawn}");
    assert!(!image.dropped().is_empty());
    for dropped in image.dropped() {
        let line = drawn.lines().find(|line| line.trim_start().starts_with(dropped.name())).unwrap();
        assert!(line.contains(&dropped.reason().to_string()), "{line}");
    }
}

#[test]
fn colours_where_they_are_wanted() {
    let scratch = Scratch::new();
    let object = scratch.built();
    let plain = inspected(&object, &[]);
    assert!(!plain.contains('\u{1b}'), "not on a terminal");
    assert_eq!(plain, inspected(&object, &["--color", "never"]));
    let painted = inspected(&object, &["--color", "always"]);
    // What is left without the colours is the same drawing.
    let mut rest = painted.as_str();
    let mut text = String::new();
    while let Some((before, code)) = rest.split_once('\u{1b}') {
        text.push_str(before);
        rest = code.split_once('m').unwrap().1;
    }
    text.push_str(rest);
    assert!(painted.len() > plain.len());
    assert_eq!(text, plain);
    // The environment has its say.
    let mut environment = command(["inspect"]);
    environment.arg(&object).env("CLICOLOR_FORCE", "1");
    assert_eq!(String::from_utf8(done(&mut environment).stdout).unwrap(), painted);
    let out = done(environment.env("NO_COLOR", "1").env_remove("CLICOLOR_FORCE"));
    assert_eq!(String::from_utf8(out.stdout).unwrap(), plain);
}

#[test]
fn json_says_what_the_image_says() {
    let scratch = Scratch::new();
    let wanting = scratch.write("wanting.s", ".data\n.globl wants\nwants: .quad supplied, supplied\n");
    let blob = scratch.blob().source(wanting).export("wants").import("supplied").stack(4096);
    let built = blob.try_build().unwrap();
    let image = built.image();
    let json: Value = serde_json::from_str(&inspected(built.object(), &["--json"])).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["file"], built.object().to_str().unwrap());
    assert_eq!(json["architecture"], "x86_64");
    assert_eq!((&json["pointer_width"], &json["little_endian"]), (&json!(8), &json!(true)));
    assert_eq!(json["id"], format!("{:016x}", image.id()));
    assert_eq!(json["size"], image.size());
    assert_eq!(json["initialised"], image.bytes().len());
    assert_eq!((&json["align"], &json["packed"]), (&json!(image.align()), &json!(image.packed())));
    let stack = image.stack().unwrap();
    assert_eq!(json["stack"], json!({ "start": stack.start, "end": stack.end }));
    assert_eq!(json["narrow"], Value::Null);
    let list = |field: &str, count: usize| {
        let list = json[field].as_array().unwrap();
        assert_eq!(list.len(), count, "{field}");
        list.clone()
    };
    for (told, segment) in list("segments", image.segments().len()).iter().zip(image.segments()) {
        assert_eq!(told["offset"], segment.offset);
        assert_eq!(
            (&told["size"], &told["initialised"]),
            (&json!(segment.size), &json!(segment.initialised))
        );
        assert_eq!(told["permissions"], segment.permissions.to_string());
    }
    for (told, export) in list("exports", image.exports().len()).iter().zip(image.exports()) {
        assert_eq!((&told["name"], &told["offset"]), (&json!(export.name()), &json!(export.offset())));
        assert_eq!(told["size"], export.size());
    }
    assert!(json["exports"].as_array().unwrap().iter().any(|e| e["name"] == "answer" && e["kind"] == "code"));
    assert_eq!(json["imports"], json!([{ "name": "supplied", "words": 2 }]));
    for (told, relocation) in list("relocations", image.relocations().len()).iter().zip(image.relocations()) {
        assert_eq!((&told["offset"], &told["width"]), (&json!(relocation.offset()), &json!(8)));
        let import = relocation.kind().import();
        assert_eq!(told["import"], json!(import));
        assert_eq!(told["kind"], if import.is_some() { "Import64" } else { "Relative64" });
    }
    for (told, dropped) in list("dropped", image.dropped().len()).iter().zip(image.dropped()) {
        assert_eq!((&told["name"], &told["size"]), (&json!(dropped.name()), &json!(dropped.size())));
        assert!(["not-allocated", "relocates-dropped", "behind-end"].iter().any(|&r| told["reason"] == r));
    }
    let described = include_str!("../docs/json.md");
    for field in json.as_object().unwrap().keys() {
        assert!(described.contains(field), "docs/json.md says nothing of {field}");
    }
}

#[test]
fn narrow_words_in_json() {
    let scratch = Scratch::new();
    let object = scratch.assembled("narrow", ".globl start\nstart: mov $start, %eax\n ret\n");
    let json = inspected(&object, &["--json", "--abs32", "checked"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["narrow"], json!({ "last": 0xffff_ffff_u32, "first_high": null }));
    assert_eq!(json["relocations"][0]["kind"], "Relative32");
    assert!(inspected(&object, &["--abs32", "checked"]).contains("up to 0xffffffff\n"));
}

/// Every reason, each in a line that names the file; and nothing that a terminal would obey.
#[test]
fn bad_objects() {
    let scratch = Scratch::new();
    let source = ".globl start\nstart: mov $start, %eax\n call absent\n mov $other, %ecx\n ret\n\
                  .section \"x\u{1b}[31m\",\"ax\"\n.short other\n.globl other\nother: ret\n";
    let object = scratch.assembled("bad", source);
    for arguments in [vec!["inspect"], vec!["flatten", "--base=0", "-o-"], vec!["header", "-o-"]] {
        let said = refused(command(arguments).arg(&object));
        let about = format!("pie-blob: {}: ", object.display());
        assert!(said.lines().all(|line| line.starts_with(&about)), "{said}");
        assert!(said.contains("`absent`") && said.contains("R_X86_64_32 at 0x1"), "{said}");
        assert!(said.lines().count() >= 3, "{said}");
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
    let text = scratch.write("text", "no object");
    let said = refused(command(["inspect"]).arg(text));
    assert_eq!(said.lines().count(), 1, "{said}");
    let said = refused(command(["inspect"]).arg(scratch.path("absent")));
    assert!(said.contains("No such file"), "{said}");
}

#[test]
fn the_same_image_as_the_library() {
    let scratch = Scratch::new();
    let object = scratch.built();
    assert!(inspected(&object, &[]).contains(&format!("{:016x}", image(&object).id())));
}
