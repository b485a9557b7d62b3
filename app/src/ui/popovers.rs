//! Closing what a `<details>` opened.

use leptos::prelude::*;

/// Adds to every `<details data-popover>` of the page what a browser does not: Escape closes it and
/// returns focus to its summary, and so does a click elsewhere, without taking focus. Without a
/// script the summary itself opens and closes it.
#[island]
pub fn Popovers() -> impl IntoView {
    #[cfg(feature = "hydrate")]
    client::listen();
}

#[cfg(feature = "hydrate")]
mod client {
    use leptos::{ev, prelude::*};
    use wasm_bindgen::JsCast;
    use web_sys::{Element, HtmlElement, Node};

    const OPEN: &str = "details[data-popover][open]";

    fn open() -> Vec<Element> {
        let Ok(found) = document().query_selector_all(OPEN) else {
            return Vec::new();
        };
        (0..found.length())
            .filter_map(|index| found.get(index)?.dyn_into().ok())
            .collect()
    }

    fn close(details: &Element) {
        // The attribute is there, or `OPEN` had not found it.
        let _ = details.remove_attribute("open");
    }

    pub(super) fn listen() {
        let _ = window_event_listener(ev::keydown, |event| {
            if event.key() != "Escape" {
                return;
            }
            for details in open() {
                close(&details);
                let summary = details.query_selector("summary").ok().flatten();
                if let Some(summary) =
                    summary.and_then(|summary| summary.dyn_into::<HtmlElement>().ok())
                {
                    let _ = summary.focus();
                }
            }
        });
        let _ = window_event_listener(ev::click, |event| {
            let target = event
                .target()
                .and_then(|target| target.dyn_into::<Node>().ok());
            for details in open() {
                if !details.contains(target.as_ref()) {
                    close(&details);
                }
            }
        });
    }
}
