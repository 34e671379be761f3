//! Building a page so that foreign text cannot become markup. Pure.

use super::super::text::plain;

/// A piece of a page. Markup is only ever a literal of this program; whatever comes from elsewhere goes through
/// [`text`](Self::text), by type.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Markup of ours.
    pub(super) fn raw(mut self, markup: &'static str) -> Self {
        self.0.push_str(markup);
        self
    }

    /// Text, in an element or in an attribute with double quotes.
    pub(super) fn text(mut self, text: &str) -> Self {
        for c in plain(text).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                _ => self.0.push(c),
            }
        }
        self
    }

    /// Text of several lines, in a `<pre>`.
    pub(super) fn lines(mut self, text: &str) -> Self {
        for line in text.lines() {
            self = self.text(line).raw("\n");
        }
        self
    }

    /// A coordinate: one decimal is a tenth of a thousandth of a plot.
    pub(super) fn at(mut self, number: f64) -> Self {
        let rounded = (number * 10.0).round() / 10.0;
        self.0.push_str(&(if rounded.is_finite() { rounded + 0.0 } else { 0.0 }).to_string());
        self
    }

    /// Another piece.
    pub(super) fn with(mut self, piece: &Self) -> Self {
        self.0.push_str(&piece.0);
        self
    }

    /// A piece for each of many.
    pub(super) fn each<T>(self, many: impl IntoIterator<Item = T>, piece: impl FnMut(T) -> Self) -> Self {
        many.into_iter().map(piece).fold(self, |page, piece| page.with(&piece))
    }

    /// A piece if there is something to say.
    pub(super) fn some<T>(self, thing: Option<T>, piece: impl FnOnce(T) -> Self) -> Self {
        match thing {
            Some(thing) => self.with(&piece(thing)),
            None => self,
        }
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// `<dt>name</dt><dd>value</dd>`, unless there is no value.
pub(super) fn fact(name: &'static str, value: Option<String>) -> Html {
    Html::new().some(value, |value| {
        Html::new().raw("<div><dt>").raw(name).raw("</dt><dd>").text(&value).raw("</dd></div>\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_never_markup() {
        let page =
            Html::new().raw("<p title=\"").text("\" onload='x'><script>&\u{202e}\n").raw("\">").finish();
        assert_eq!(page, "<p title=\"&quot; onload=&#39;x&#39;&gt;&lt;script&gt;&amp;\u{fffd}\u{fffd}\">");
        assert_eq!(Html::new().lines("<a>\n<b>").finish(), "&lt;a&gt;\n&lt;b&gt;\n");
    }

    #[test]
    fn a_coordinate_is_short_and_always_a_number() {
        let said = [0.0, -0.01, 12.345, f64::NAN, f64::INFINITY].map(|x| Html::new().at(x).finish());
        assert_eq!(said, ["0", "0", "12.3", "0", "0"]);
    }
}
