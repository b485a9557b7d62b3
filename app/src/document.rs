//! The HTML document around a page.

use crate::ui::Theme;
use hydration_context::SsrSharedContext;
use leptos::prelude::*;
use std::{fmt::Write, sync::Arc};

/// Called with the addresses of the client and its WebAssembly.
const ISLANDS: &str = include_str!("islands.js");

/// What a document needs to know about its page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageMeta {
    /// The page's own title; the product's name follows it.
    pub title: String,
    /// BCP 47 tag of the page's language.
    pub lang: String,
    /// The viewer's theme.
    pub theme: Theme,
    /// The nonce that the response's content security policy names.
    pub nonce: String,
    /// Names the build, so that browsers may keep style and client for ever.
    pub version: String,
    /// Whether the page has islands. A page without them loads no script at all.
    pub with_islands: bool,
}

/// `text` for an element or a double-quoted attribute.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(letter),
        }
    }
    safe
}

/// `text` as a string literal inside a `<script>`.
fn script_literal(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('<', "\\u003c")
}

/// Renders `body` and puts the document around it. `body` is called inside an owner that knows
/// islands, so it must build its view there and not before. Nothing in it may wait: what a page
/// shows is loaded before.
pub fn document<View: IntoView>(page: &PageMeta, body: impl FnOnce() -> View) -> String {
    let owner = Owner::new_root(Some(Arc::new(SsrSharedContext::new_islands())));
    let body = owner.with(|| body().into_view().to_html());
    owner.unset_with_forced_cleanup();

    let title = escape(&page.title);
    let lang = escape(&page.lang);
    let version = escape(&page.version);
    let theme = match page.theme {
        Theme::System => String::new(),
        forced => format!(" data-theme=\"{}\"", forced.name()),
    };
    let mut html = String::with_capacity(body.len() + 2048);
    // Writing to a string cannot fail.
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"{lang}\"{theme}>\n<head>\n\
         <meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1, viewport-fit=cover\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title} · OPTIMUS</title>\n\
         <link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\">\n\
         <link rel=\"stylesheet\" href=\"/pkg/optimus.css?v={version}\">\n"
    );
    if page.with_islands {
        let nonce = escape(&page.nonce);
        let script = script_literal(&format!("/pkg/optimus.js?v={}", page.version));
        let wasm = script_literal(&format!("/pkg/optimus_bg.wasm?v={}", page.version));
        let islands = ISLANDS.trim_end();
        let _ = write!(
            html,
            "<link rel=\"modulepreload\" href=\"/pkg/optimus.js?v={version}\" nonce=\"{nonce}\">\n\
             <link rel=\"preload\" href=\"/pkg/optimus_bg.wasm?v={version}\" as=\"fetch\" type=\"application/wasm\" crossorigin=\"anonymous\">\n\
             <script type=\"module\" nonce=\"{nonce}\">{islands}({script}, {wasm});</script>\n"
        );
    }
    html.push_str("</head>\n<body>\n");
    html.push_str(&body);
    html.push_str("\n</body>\n</html>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disclosure whose words come as a property and whose content as children.
    #[island]
    fn Sample(word: String, children: Children) -> impl IntoView {
        view! {
            <button type="button">{word}</button>
            {children()}
        }
    }

    fn page(with_islands: bool) -> PageMeta {
        PageMeta {
            title: "Fish & <chips>".to_owned(),
            lang: "en".to_owned(),
            theme: Theme::Dark,
            nonce: "bm9uY2U".to_owned(),
            version: "0f3a".to_owned(),
            with_islands,
        }
    }

    fn sample() -> impl IntoView {
        view! {
            <main>
                <Sample word="Say \"hello\"".to_owned()>
                    <p>"Inside"</p>
                </Sample>
            </main>
        }
    }

    #[test]
    fn an_island_keeps_its_props_and_children() {
        let html = document(&page(true), sample);
        let island = html.split_once("<leptos-island ").expect("an island").1;
        assert!(island.starts_with("data-component=\"Sample_"), "{island}");
        assert!(
            island.contains(
                "data-props=\"{&quot;word&quot;:&quot;Say \\&quot;hello\\&quot;&quot;}\""
            ),
            "{island}"
        );
        let children = island.split_once("<leptos-children>").expect("children").1;
        assert!(
            children.starts_with("<p>Inside</p></leptos-children>"),
            "{children}"
        );
    }

    #[test]
    fn the_script_carries_the_nonce_and_the_version() {
        let html = document(&page(true), sample);
        assert!(html.contains("<script type=\"module\" nonce=\"bm9uY2U\">"));
        assert!(
            html.contains(
                "(\"/pkg/optimus.js?v=0f3a\", \"/pkg/optimus_bg.wasm?v=0f3a\");</script>"
            )
        );
        assert!(html.contains("href=\"/pkg/optimus.css?v=0f3a\""));
        assert_eq!(html.matches("<script").count(), 1);
    }

    #[test]
    fn a_page_without_islands_has_no_script() {
        let html = document(&page(false), || view! { <main>"Hello"</main> });
        assert!(!html.contains("<script"), "{html}");
        assert!(!html.contains("preload"), "{html}");
        assert!(html.contains("<main>Hello</main>"));
    }

    #[test]
    fn title_and_theme_are_safe() {
        let html = document(&page(false), || ());
        assert!(html.contains("<title>Fish &amp; &lt;chips&gt; · OPTIMUS</title>"));
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\" data-theme=\"dark\">"));
        let mut plain = page(false);
        plain.theme = Theme::System;
        assert!(document(&plain, || ()).contains("<html lang=\"en\">"));
    }

    #[test]
    fn a_literal_cannot_end_its_script() {
        assert_eq!(script_literal("</script>\""), "\"\\u003c/script>\\\"\"");
    }

    #[test]
    fn one_page_leaves_nothing_for_the_next() {
        let first = document(&page(true), sample);
        let second = document(&page(true), sample);
        assert_eq!(first, second);
    }
}
