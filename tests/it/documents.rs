//! The documents: every link and citation leads somewhere, no sentence stands twice, tables of settings are those of the
//! code.

use std::{
    collections::{BTreeMap, BTreeSet},
    env::VarError,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use runtime::settings::Settings;

/// Files of the repository with one of these endings are searched for citations; those without an ending are scripts.
const TEXTS: [&str; 9] = ["", "json", "md", "mjs", "py", "rs", "toml", "yaml", "yml"];
/// Folders that hold no text of ours: what is built, and the samples.
const SKIPPED: [&str; 7] = [
    ".git",
    ".terrarium",
    "__pycache__",
    "build",
    "node_modules",
    "samples",
    "target",
];
const FACTS: &str = include_str!("../../shared/models/FACTS.md");
/// The fact sheet itself, and this file, which only speaks of citations.
const NOT_CITING: [&str; 2] = ["shared/models/FACTS.md", "tests/it/documents.rs"];
/// Shorter sentences may stand in several places. Unit: words.
const SENTENCE_WORDS: usize = 7;
/// Words that begin a clause without a subject of its own. A paragraph of docs begins with a noun or a verb instead.
const CLAUSE_WORDS: [&str; 10] = [
    "What", "How", "Whether", "Where", "Who", "Whom", "Whose", "That", "Which", "As",
];
/// More of them, which may begin a later paragraph: the main clause follows there.
const TIME_WORDS: [&str; 2] = ["When", "Why"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The repository's texts, by their path from the root.
fn texts() -> BTreeMap<String, String> {
    fn collect(root: &Path, folder: &Path, texts: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = folder.join(&name);
            let kind = entry.file_type().unwrap();
            let ending = path
                .extension()
                .map_or("", |ending| ending.to_str().unwrap());
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) && name != ".aws-sam" {
                collect(root, &path, texts);
            } else if kind.is_file() && TEXTS.contains(&ending) {
                let text = std::fs::read(root.join(&path)).unwrap();
                let text = String::from_utf8_lossy(&text).into_owned();
                texts.insert(path.to_str().unwrap().to_owned(), text);
            }
        }
    }
    let mut texts = BTreeMap::new();
    collect(&root(), Path::new(""), &mut texts);
    texts
}

/// The Markdown pages, by their path from the root.
fn pages() -> BTreeMap<String, String> {
    let mut pages = texts();
    pages.retain(|path, _| Path::new(path).extension() == Some("md".as_ref()));
    assert!(pages.len() >= 10, "{:?}", pages.keys());
    pages
}

/// The lines of a page outside of code blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// The sections of FACTS, by number.
fn sections() -> BTreeMap<u32, &'static str> {
    let sections: BTreeMap<_, _> = FACTS
        .split("\n## ")
        .skip(1)
        .map(|section| (section.split('.').next().unwrap().parse().unwrap(), section))
        .collect();
    assert_eq!(sections.len(), 17);
    sections
}

/// Joins lines, without what begins a line of a comment.
fn joined(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.trim();
        let comment = ["//!", "///", "//", "#"]
            .iter()
            .find_map(|mark| line.strip_prefix(mark));
        comment.unwrap_or(line).trim()
    });
    lines.collect::<Vec<_>>().join(" ")
}

/// Takes a number off the front.
fn number(text: &mut &str) -> Option<u32> {
    let end = text
        .find(|char: char| !char.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let found = digits.parse().ok()?;
    *text = rest;
    Some(found)
}

/// Takes one of `words` off the front.
fn one_of<'a>(text: &mut &str, words: &[&'a str]) -> Option<&'a str> {
    let (word, rest) = words
        .iter()
        .find_map(|word| Some((*word, text.strip_prefix(word)?)))?;
    *text = rest;
    Some(word)
}

/// Returns the fault of the citation that follows the word FACTS; `None` if all that it names is there.
fn fault_of(citation: &str, sections: &BTreeMap<u32, &str>) -> Option<String> {
    let mut rest = citation;
    if one_of(&mut rest, &[" sections ", " section "]).is_none() {
        return Some("names no section".to_owned());
    }
    let mut section = None;
    loop {
        let Some(next) = number(&mut rest) else {
            return Some("names no section".to_owned());
        };
        let Some(text) = sections.get(&next) else {
            return Some(format!("there is no section {next}"));
        };
        section = Some((next, text)).or(section);
        let more = [", and section ", " and section ", " and ", " to ", ", "];
        let before = rest;
        if one_of(&mut rest, &more).is_none()
            || !rest.starts_with(|char: char| char.is_ascii_digit())
        {
            rest = before;
            break;
        }
    }
    let (number_of_section, text) = section?;
    if one_of(&mut rest, &[", row ", " row ", ", no. "]).is_some() {
        let row = number(&mut rest)?;
        let there = text.contains(&format!("\n| {row} |"));
        return (!there).then(|| format!("section {number_of_section} has no row {row}"));
    }
    let quoted = rest.strip_prefix(", \"").or(rest.strip_prefix(" \""))?;
    let quoted = quoted.split('"').next()?;
    (!text.contains(quoted)).then(|| format!("section {number_of_section} has no {quoted:?}"))
}

#[test]
fn every_citation_of_facts_names_what_is_there() {
    let sections = sections();
    let (mut citations, mut wrong) = (0, Vec::new());
    for (path, text) in texts() {
        if NOT_CITING.contains(&path.as_str()) {
            continue;
        }
        for citation in joined(&text).split("FACTS").skip(1) {
            // A link to the sheet, its file, or a piece of code that looks for citations.
            let other = [".md", "](", " section\""];
            if other.iter().any(|other| citation.starts_with(other)) {
                continue;
            }
            citations += 1;
            let shown: String = citation.chars().take(60).collect();
            let fault = fault_of(citation, &sections);
            wrong.extend(fault.map(|fault| format!("{path}: FACTS{shown}: {fault}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(citations > 100, "only {citations} citations were found");
}

#[test]
fn a_citation_of_what_is_not_there_is_found() {
    let sections = sections();
    let right = [
        " section 7).",
        " sections 1 to 6).",
        " sections 3 and 14, row 8)",
        " section 5 and section 14 row 9).",
        " section 9, \"Keys\").",
        " section 6, \"about 150\").",
        " section 2, last rule).",
    ];
    for citation in right {
        assert_eq!(fault_of(citation, &sections), None, "{citation}");
    }
    let wrong = [
        " says so",
        " section 18",
        " sections 3 and 99",
        " section 14, row 46",
        " section 3, row 1",
        " section 9, \"Kays\"",
    ];
    for citation in wrong {
        assert!(fault_of(citation, &sections).is_some(), "{citation}");
    }
}

/// The targets of a page's links.
fn links(page: &str) -> Vec<String> {
    let mut links = Vec::new();
    for line in prose(page) {
        for link in line.split("](").skip(1) {
            links.push(link.split(')').next().unwrap().to_owned());
        }
    }
    links
}

/// The anchors that GitHub gives to a page's headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = prose(page).filter_map(|line| line.strip_prefix('#'));
    headings
        .map(|heading| {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|char| char.is_alphanumeric() || " -_".contains(*char));
            kept.collect::<String>().replace(' ', "-")
        })
        .collect()
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let pages = pages();
    let (mut checked, mut wrong) = (0, Vec::new());
    for (path, page) in &pages {
        for link in links(page) {
            if link.starts_with("https://") {
                continue;
            }
            checked += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() {
                root().join(path)
            } else {
                root().join(path).parent().unwrap().join(file)
            };
            let leads = target.exists()
                && (anchor.is_empty()
                    || anchors(&std::fs::read_to_string(&target).unwrap()).contains(anchor));
            if !leads {
                wrong.push(format!("{path}: {link}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 20, "only {checked} links were found");
}

/// The sentences of a page: of its paragraphs and lists, not of its tables.
fn sentences(page: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in prose(page) {
        let line = line.trim();
        let begins = line.is_empty() || line.starts_with(['#', '|', '-']);
        if begins {
            blocks.push(String::new());
        }
        if !line.starts_with('|') {
            let block = blocks.last_mut().unwrap();
            block.push_str(line.trim_start_matches(['-', '#', ' ']));
            block.push(' ');
        }
    }
    let ended = |block: &String| {
        block
            .split_inclusive(['.', ':', ';'])
            .map(|sentence| sentence.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
    };
    blocks.iter().flat_map(ended).collect()
}

#[test]
fn no_sentence_stands_in_two_places() {
    let mut places = BTreeMap::<String, Vec<String>>::new();
    for (path, page) in pages() {
        for sentence in sentences(&page) {
            if sentence.split(' ').count() >= SENTENCE_WORDS {
                places.entry(sentence).or_default().push(path.clone());
            }
        }
    }
    assert!(places.len() > 200, "only {} sentences", places.len());
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "{places:#?}");
}

/// The first lines of a file's doc comments and of their paragraphs, each with whether its comment begins there.
fn doc_beginnings(code: &str) -> Vec<(&str, bool)> {
    let (mut beginnings, mut before, mut in_code) = (Vec::new(), None, false);
    for line in code.lines() {
        let line = line.trim();
        let text = ["///", "//!"].iter().find_map(|mark| {
            let text = line.strip_prefix(mark)?;
            (text.is_empty() || text.starts_with(' ')).then(|| text.trim())
        });
        if let Some(text) = text {
            in_code ^= text.starts_with("```");
            let begins = before.is_none_or(str::is_empty);
            if begins && !in_code && !text.is_empty() {
                beginnings.push((text, before.is_none()));
            }
        }
        before = text;
    }
    beginnings
}

/// The beginnings of paragraphs that are a clause without a subject.
fn clauses(code: &str) -> Vec<&str> {
    let begins_with = |text: &str, words: &[&str]| {
        let first = text.split(|char: char| !char.is_alphanumeric()).next();
        first.is_some_and(|first| words.contains(&first))
    };
    let beginnings = doc_beginnings(code).into_iter();
    beginnings
        .filter(|&(text, begins)| {
            begins_with(text, &CLAUSE_WORDS) || begins && begins_with(text, &TIME_WORDS)
        })
        .map(|(text, _)| text)
        .collect()
}

#[test]
fn docs_begin_with_a_noun_or_a_verb() {
    let (mut beginnings, mut found) = (0, Vec::new());
    for (path, code) in texts() {
        // This file has an example of what is found.
        if Path::new(&path).extension() == Some("rs".as_ref()) && path != NOT_CITING[1] {
            beginnings += doc_beginnings(&code).len();
            found.extend(clauses(&code).iter().map(|text| format!("{path}: {text}")));
        }
    }
    assert!(beginnings > 1_000, "only {beginnings} were read");
    assert!(
        found.is_empty(),
        "these beginnings are clauses; name the thing first: {found:#?}"
    );
}

#[test]
fn a_doc_that_begins_with_a_clause_is_found() {
    let code = "
        //! What a page is for.
        //!
        //! When it rains, it pours.

        /// Whose.
        owner: Owner,
        /// Time of the request. Whether it was answered says
        /// What follows.
        ///
        /// Where it stands.
        at_ms: i64,
        // What an ordinary comment may say.
        /// ```
        /// How code looks.
        /// ```
        /// Whatever has another word in front.
        fn example() {}
        /// When.
        due_ms: i64,
    ";
    let found = ["What a page is for.", "Whose.", "Where it stands.", "When."];
    assert_eq!(clauses(code), found);
}

#[test]
fn the_front_page_has_at_most_200_lines() {
    let front = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(front.lines().count() <= 200);
}

#[test]
fn every_function_and_every_library_has_a_page_that_is_its_documentation() {
    for folder in ["functions", "shared"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let package = entry.unwrap().path();
            let Ok(library) = std::fs::read_to_string(package.join("src/lib.rs")) else {
                continue;
            };
            let place = package.display();
            assert!(
                package.join("README.md").is_file(),
                "{place} has no README.md: say in it what the crate does and which settings it reads"
            );
            let included = "#![doc = include_str!(\"../README.md\")]";
            assert!(
                library.starts_with(included),
                "{place}/src/lib.rs does not begin with {included}"
            );
        }
    }
}

/// The rows of a page's table of settings: a variable and the text of its default.
fn settings_in(page: &str) -> BTreeMap<String, String> {
    let rows = prose(page)
        .skip_while(|line| *line != "| variable | meaning | default |")
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let name = cells[0].trim_matches('`').to_owned();
        (name, cells[2].to_owned())
    })
    .collect()
}

/// Reads a configuration from `values` and tells which variables were asked for.
fn read<T: std::fmt::Debug, E: std::fmt::Display>(
    config: impl Fn(Settings) -> Result<T, E>,
    values: &BTreeMap<String, String>,
) -> (String, BTreeSet<String>) {
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let (values, noted) = (values.clone(), Arc::clone(&asked));
    let settings = Settings::from_lookup(move |name| {
        noted.lock().unwrap().insert(name.to_owned());
        values.get(name).cloned().ok_or(VarError::NotPresent)
    });
    let config = config(settings).unwrap_or_else(|error| panic!("{error}"));
    let asked = asked.lock().unwrap().clone();
    (without_numbered_caches(&format!("{config:?}")), asked)
}

/// The SDK numbers its caches of credentials; two equal configurations differ in that number.
fn without_numbered_caches(config: &str) -> String {
    let mut parts = config.split("IdentityCachePartition(");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |whole, part| {
        whole + part.trim_start_matches(|char: char| char.is_ascii_digit())
    })
}

/// Holds a function's table, and that of the runtime, against what its configuration asks for; and each default that is
/// written as a value against the one that the code takes.
fn check<T: std::fmt::Debug, E: std::fmt::Display>(
    function: &str,
    config: impl Fn(Settings) -> Result<T, E>,
) {
    let page = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let mut table = settings_in(&page(&format!("functions/{function}/README.md")));
    let common = settings_in(&page("shared/runtime/README.md"));
    assert!(table.len() >= 3 && common.len() >= 5, "{function}");
    table.extend(common);

    let required: BTreeMap<_, _> = table
        .iter()
        .filter(|(_, default)| *default == "required" || *default == "required, or the next")
        .map(|(name, _)| {
            let value = match name.as_str() {
                "SIGNING_SECRETS" => r#"{"main":"whsec_0123456789"}"#,
                "TERRA_CREDENTIALS" => r#"{"dev_id":"dev","api_key":"key"}"#,
                name if name.ends_with("_URL") => "https://sqs.eu-west-1.amazonaws.com/1/queue",
                _ => "something",
            };
            (name.clone(), value.to_owned())
        })
        .collect();
    let (unset, asked) = read(&config, &required);
    let listed: BTreeSet<_> = table.keys().cloned().collect();
    assert_eq!(listed, asked, "{function}: the tables and the code differ");

    for (name, default) in &table {
        let Some(value) = default
            .strip_prefix('`')
            .and_then(|rest| rest.strip_suffix('`'))
        else {
            continue;
        };
        let mut values = required.clone();
        values.insert(name.clone(), value.to_owned());
        let (set, _) = read(&config, &values);
        assert_eq!(
            set, unset,
            "{function}: {value} is not the default of {name}"
        );
    }
}

#[test]
fn tables_of_settings_list_what_the_code_reads_with_its_defaults() {
    check("webhook-intake", webhook_intake::Config::from_settings);
    check("event-router", event_router::Config::from_settings);
    check("history-fetch", history_fetch::Config::from_settings);
    check("deliver", deliver::Config::from_settings);
    check("jobs", jobs::Config::from_settings);
    check("api", api::Config::from_settings);
    let functions = std::fs::read_dir(root().join("functions")).unwrap();
    assert_eq!(functions.count(), 6, "a function is not checked here");
}
