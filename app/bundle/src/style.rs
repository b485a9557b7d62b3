//! One style sheet out of many: the files of a folder in the order of its `index`, without comments and indentation.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::ensure;

use crate::site::{files_under, read};

/// Joins the CSS files named in `dir/index`, one a line, `#` for remarks. A CSS file in `dir` that the index does not
/// name is an error: it would be a rule that nobody sees.
pub fn sheet(dir: &Path) -> anyhow::Result<String> {
    let index = text(&dir.join("index"))?;
    let names: Vec<&str> = index
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let listed: BTreeSet<_> = names.iter().map(|name| dir.join(name)).collect();
    for file in files_under(dir)?
        .iter()
        .filter(|file| file.extension().is_some_and(|ext| ext == "css"))
    {
        ensure!(
            listed.contains(file),
            "{} is not named in {}",
            file.display(),
            dir.join("index").display()
        );
    }
    names
        .iter()
        .map(|name| Ok(minify(&text(&dir.join(name))?)))
        .collect()
}

fn text(path: &Path) -> anyhow::Result<String> {
    Ok(String::from_utf8(read(path)?)?)
}

/// Drops comments, blank lines and white space at both ends of a line. Quoted strings stay as they are.
fn minify(css: &str) -> String {
    let mut bare = String::with_capacity(css.len());
    let mut rest = css;
    while let Some(at) = rest
        .find(['"', '\''])
        .into_iter()
        .chain(rest.find("/*"))
        .min()
    {
        bare.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = if rest.starts_with("/*") {
            comment_end(rest)
        } else {
            string_end(rest)
        };
        // A comment separates two words as a space does.
        bare.push_str(if rest.starts_with("/*") {
            " "
        } else {
            &rest[..end]
        });
        rest = &rest[end..];
    }
    bare.push_str(rest);
    bare.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .flat_map(|line| [line, "\n"])
        .collect()
}

fn comment_end(from: &str) -> usize {
    from.find("*/").map_or(from.len(), |at| at + 2)
}

fn string_end(from: &str) -> usize {
    let mut chars = from.char_indices();
    let quote = chars.next().map(|(_, quote)| quote);
    while let Some((at, char)) = chars.next() {
        if char == '\\' {
            chars.next();
        } else if Some(char) == quote {
            return at + 1;
        }
    }
    from.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minify_drops_comments_and_indentation() {
        let css = "/* head\n * of file */\n\na {\n  color: red; /* why */\n}\nb/**/c {}\n";
        assert_eq!(minify(css), "a {\ncolor: red;\n}\nb c {}\n");
    }

    #[test]
    fn minify_leaves_strings_alone() {
        let css = "a::before { content: \"/* ' \\\" */\"; }\nb { content: '*/'; } /* end";
        assert_eq!(
            minify(css),
            "a::before { content: \"/* ' \\\" */\"; }\nb { content: '*/'; }\n"
        );
    }

    #[test]
    fn an_unlisted_sheet_is_named() -> anyhow::Result<()> {
        let dir = std::env::temp_dir().join(format!("bundle-style-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("index"), "# order\nb.css\na.css\n")?;
        std::fs::write(dir.join("a.css"), "a{}\n")?;
        std::fs::write(dir.join("b.css"), "b{}\n")?;
        assert_eq!(sheet(&dir)?, "b{}\na{}\n");

        std::fs::write(dir.join("lost.css"), "")?;
        let error = sheet(&dir)
            .expect_err("lost.css is not in the index")
            .to_string();
        assert!(error.contains("lost.css is not named in"), "{error}");
        std::fs::remove_dir_all(dir)?;
        Ok(())
    }
}
