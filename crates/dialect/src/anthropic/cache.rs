//! Cache breakpoints: how many there may be, and in which order.

use super::wire::{Block, Kind, Mark, Message, Tool};
use crate::field::Field;
use crate::loss::Losses;

/// The most breakpoints of a request; more are refused.
const MOST: usize = 4;

/// Keeps to what is accepted. The breakpoints at the front go first, since those behind them cover what they cover.
pub(super) fn limit(
    tools: &mut [Tool<'_>],
    system: &mut [Block<'_>],
    messages: &mut [Message<'_>],
    whole: bool,
    lost: &mut Losses,
) {
    let mut marks: Vec<&mut Option<Mark>> = tools.iter_mut().map(|tool| &mut tool.cache).collect();
    marks.extend(system.iter_mut().map(|block| &mut block.cache));
    for block in messages.iter_mut().flat_map(|message| &mut message.blocks) {
        if let Kind::ToolResult { content, .. } = &mut block.kind {
            marks.extend(content.iter_mut().map(|block| &mut block.cache));
        }
        marks.push(&mut block.cache);
    }
    marks.retain(|mark| mark.is_some());
    let excess = (marks.len() + usize::from(whole)).saturating_sub(MOST);
    let mut short = false;
    for (index, mark) in marks.into_iter().enumerate() {
        if index < excess {
            *mark = None;
            lost.note(
                Field::CacheMark,
                "only 4 breakpoints are accepted, the first ones dropped",
            );
        } else if let Some(Mark { ttl }) = mark {
            // A longer life after a shorter one is refused.
            if ttl.as_deref() != Some("1h") {
                short = true;
            } else if short {
                *ttl = None;
                lost.note(
                    Field::CacheMark,
                    "an hour is not accepted after five minutes, shortened",
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;

    fn marked(ttl: Option<&str>) -> Block<'static> {
        Block {
            cache: Some(Mark {
                ttl: ttl.map(str::to_owned),
            }),
            ..Block::text("t")
        }
    }

    #[test]
    fn four_breakpoints_remain_the_last_ones() {
        let mut system: Vec<Block<'_>> = (0..6).map(|_| marked(None)).collect();
        let mut lost = Losses::new(Protocol::Anthropic);
        limit(&mut [], &mut system, &mut [], true, &mut lost);
        let kept: Vec<bool> = system.iter().map(|block| block.cache.is_some()).collect();
        assert_eq!(kept, [false, false, false, true, true, true]);
        assert_eq!(lost.listed().len(), 1);
    }

    #[test]
    fn the_longer_life_comes_first() {
        let mut system = vec![marked(Some("1h")), marked(None), marked(Some("1h"))];
        let mut lost = Losses::new(Protocol::Anthropic);
        limit(&mut [], &mut system, &mut [], false, &mut lost);
        let lives: Vec<_> = system.iter().map(|block| block.cache.clone().unwrap().ttl).collect();
        assert_eq!(lives, [Some("1h".to_owned()), None, None]);
        assert_eq!(lost.listed().len(), 1);
    }
}
