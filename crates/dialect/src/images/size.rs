//! Sizes, and the shapes that Gemini's models paint in.

/// The ratios of width to height that Imagen knows.
pub(super) const OF_IMAGEN: [(u32, u32); 5] = [(1, 1), (3, 4), (4, 3), (9, 16), (16, 9)];

/// The ratios that models know which paint in a conversation.
pub(super) const OF_CONVERSATIONS: [(u32, u32); 10] = [
    (1, 1),
    (2, 3),
    (3, 2),
    (3, 4),
    (4, 3),
    (4, 5),
    (5, 4),
    (9, 16),
    (16, 9),
    (21, 9),
];

/// The ratios that Ideogram has names for.
pub(super) const OF_IDEOGRAM: [(u32, u32); 11] = [
    (1, 1),
    (16, 9),
    (9, 16),
    (16, 10),
    (10, 16),
    (3, 2),
    (2, 3),
    (4, 3),
    (3, 4),
    (3, 1),
    (1, 3),
];

/// A picture's size in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Its width; never zero.
    pub width: u32,
    /// Its height; never zero.
    pub height: u32,
}

impl Size {
    /// Reads `1024x768`.
    pub fn parse(text: &str) -> Option<Self> {
        let (width, height) = text.split_once(['x', 'X', '×'])?;
        let side = |text: &str| text.trim().parse().ok().filter(|side| (1..=65_536).contains(side));
        Some(Self {
            width: side(width)?,
            height: side(height)?,
        })
    }

    /// Whether it has this ratio of width to height.
    pub(super) fn is_of(self, ratio: (u32, u32)) -> bool {
        u64::from(self.width) * u64::from(ratio.1) == u64::from(self.height) * u64::from(ratio.0)
    }

    /// The nearest of some ratios, by the factor between them, as `16:9`.
    pub(super) fn nearest(self, ratios: &[(u32, u32)]) -> String {
        let own = f64::from(self.width) / f64::from(self.height);
        let distance = |ratio: &(u32, u32)| (own * f64::from(ratio.1) / f64::from(ratio.0)).ln().abs();
        let nearest = ratios
            .iter()
            .min_by(|one, other| distance(one).total_cmp(&distance(other)));
        let (width, height) = nearest.copied().unwrap_or((1, 1));
        format!("{width}:{height}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_become_the_nearest_ratio() {
        for (size, imagen, conversation) in [
            ("1024x1024", "1:1", "1:1"),
            ("256x256", "1:1", "1:1"),
            ("1536x1024", "4:3", "3:2"),
            ("1024x1536", "3:4", "2:3"),
            ("1792x1024", "16:9", "16:9"),
            ("1024x1792", "9:16", "9:16"),
            ("4000x1000", "16:9", "21:9"),
            ("1000X1250", "3:4", "4:5"),
        ] {
            let size = Size::parse(size).unwrap();
            assert_eq!(
                (
                    size.nearest(&OF_IMAGEN).as_str(),
                    size.nearest(&OF_CONVERSATIONS).as_str()
                ),
                (imagen, conversation)
            );
        }
        for nonsense in ["", "x", "0x1", "1x", "axb", "99999999x1", "-1x2"] {
            assert_eq!(Size::parse(nonsense), None, "{nonsense}");
        }
    }
}
