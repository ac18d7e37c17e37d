use std::collections::HashSet;

use mynah_dialect::ir::Usage;
use proptest::prelude::*;

use super::*;
use crate::known::KNOWN;

/// The rows as they stand in the file, once each.
fn rows() -> Vec<(String, String, Price)> {
    #[derive(Deserialize)]
    struct File {
        models: BTreeMap<String, BTreeMap<String, Price>>,
    }
    let file: File = toml::from_str(include_str!("../catalog/prices.toml")).unwrap();
    let of_kind = |(kind, rows): (String, BTreeMap<String, Price>)| {
        rows.into_iter().map(move |(model, price)| (kind.clone(), model, price))
    };
    file.models.into_iter().flat_map(of_kind).collect()
}

fn price(text: &str) -> Price {
    toml::from_str(text).unwrap()
}

#[test]
fn the_table_parses_and_is_long_enough_to_be_useful() {
    let table: Table = toml::from_str(include_str!("../catalog/prices.toml")).unwrap();
    assert!(!table.like.is_empty());
    assert!(rows().len() >= 100, "{}", rows().len());
}

#[test]
fn every_kind_is_in_the_catalog_of_providers() {
    for (kind, model, _) in rows() {
        assert!(KNOWN.contains_key(&kind), "{kind} of {model}");
    }
    for (kind, beginnings) in &TABLE.like {
        assert!(KNOWN.contains_key(kind), "{kind}");
        for other in beginnings.values() {
            assert!(TABLE.models.contains_key(other), "{kind} is like {other}");
        }
    }
}

#[test]
fn no_name_means_two_models() {
    let mut seen = HashSet::new();
    for (kind, model, price) in rows() {
        for name in price.also.into_iter().chain([model]) {
            assert!(seen.insert((kind.clone(), name.clone())), "{kind} {name}");
        }
    }
}

#[test]
fn prices_are_sane() {
    let most = PerMillion(1_000_000_000); // 1000 USD
    for (kind, model, price) in rows() {
        let name = format!("{kind} {model}");
        let fees = [price.request, price.image, price.minute];
        let priced = price.input.is_some() || price.character.is_some() || fees.iter().any(Option::is_some);
        assert!(priced, "{name} has no price");
        assert!(
            fees.iter().flatten().all(|fee| fee.0 <= 1_000_000_000_000),
            "{name}: a fee above a dollar"
        );
        let levels = price
            .tiers
            .iter()
            .map(|tier| (tier.input, tier.cached, tier.cache_write, tier.output));
        for (input, cached, write, output) in [(price.input, price.cached, price.cache_write, price.output)]
            .into_iter()
            .chain(levels)
        {
            assert!(cached <= input, "{name}: reading the cache costs more");
            assert!(
                output.is_none_or(|output| Some(output) >= input),
                "{name}: the answer costs less"
            );
            assert!(
                [input, cached, write, output].iter().all(|price| *price <= Some(most)),
                "{name}: too much"
            );
        }
        let thresholds: Vec<u64> = price.tiers.iter().map(|tier| tier.above).collect();
        assert!(
            thresholds.is_sorted() && !thresholds.contains(&0),
            "{name}: tiers out of order"
        );
        assert!(
            price.max_output <= price.context,
            "{name}: answers longer than the context"
        );
    }
}

#[test]
fn a_date_or_latest_is_all_that_is_guessed() {
    let name = |model| of("openai", model).map(|price| price.input);
    assert_eq!(name("gpt-5-2025-08-07"), name("gpt-5"));
    assert!(name("gpt-5-mini").is_some() && name("gpt-5-mini") != name("gpt-5"));
    assert_eq!(name("gpt-5-mini-2025-08-07"), name("gpt-5-mini"));
    assert_eq!(name("gpt-5.1-chat-latest"), name("gpt-5.1-chat"));
    assert_ne!(
        name("gpt-4o-2024-05-13"),
        name("gpt-4o"),
        "a row of its own counts first"
    );
    for unknown in [
        "gpt-5-turbo",
        "gpt",
        "gpt-5-1999-01-01",
        "gpt-5-2025-08-0",
        "gpt-5-2025-08-07-x",
        "",
        "-latest",
        "é",
    ] {
        assert_eq!(name(unknown), None, "{unknown}");
    }
    assert_eq!(
        of("anthropic", "claude-haiku-4-5-20251001"),
        of("anthropic", "claude-haiku-4-5")
    );
    assert_eq!(of("nobody", "gpt-5"), None);
}

#[test]
fn who_sells_for_others_has_their_prices() {
    assert_eq!(of("azure", "gpt-5"), of("openai", "gpt-5"));
    assert_eq!(
        of("openrouter", "anthropic/claude-haiku-4.5"),
        of("anthropic", "claude-haiku-4-5")
    );
    assert_eq!(of("gemini", "models/gemini-2.5-pro"), of("gemini", "gemini-2.5-pro"));
    assert_eq!(of("perplexity", "openai/gpt-5.2-2025-12-11"), of("openai", "gpt-5.2"));
    assert!(of("azure", "gpt-5").is_some());
    assert_eq!(of("openrouter", "gpt-5"), None);
    assert_eq!(of("openrouter", "openai/gpt-oss-120b:free"), None);
}

#[test]
fn each_bucket_has_its_price_and_falls_back() {
    let price = price(
        "input = 1\ncached = 0.1\ncache_write = 1.25\ncache_write_1h = 2\naudio_input = 4\nimage_input = 3\noutput = 5\n\
         reasoning = 6\naudio_output = 20\nrequest = 0.005\nimage = 0.04\nminute = 0.006\ncharacter = 15",
    );
    let million = 1_000_000;
    let counts = Counts {
        input: million,
        cached: million,
        cache_write: million,
        cache_write_1h: million,
        audio_input: million,
        image_input: million,
        output: million,
        reasoning: million,
        audio_output: million,
        requests: 1,
        images: 2,
        seconds: 90,
        characters: 1000,
    };
    let tokens = 1_000_000_000 + 100_000_000 + 1_250_000_000 + 2_000_000_000 + 4_000_000_000 + 3_000_000_000;
    let answer = 5_000_000_000_u64 + 6_000_000_000 + 20_000_000_000;
    let others = 5_000_000 + 80_000_000 + 9_000_000 + 15_000_000;
    assert_eq!(price.cost(&counts), tokens + answer + others);

    let plain = toml::from_str::<Price>("input = 1\noutput = 5").unwrap();
    assert_eq!(plain.cost(&counts), 6_000_000_000 + 15_000_000_000);
    assert_eq!(Price::default().cost(&counts), 0);
}

#[test]
fn a_large_prompt_has_all_of_its_request_billed_higher() {
    let price = price(
        "input = 1\ncached = 0.5\noutput = 2\ntiers = [{ above = 1000, input = 2, cached = 1, output = 3 }, { above = 2000, input = 4 }]",
    );
    let cost = |input, cached| {
        price.cost(&Counts {
            input,
            cached,
            output: 10,
            ..Counts::default()
        })
    };
    assert_eq!(cost(1000, 0), 1_000_000 + 20_000);
    assert_eq!(
        cost(1000, 1),
        2_000_000 + 1_000 + 30_000,
        "what is cached counts for the size"
    );
    assert_eq!(cost(2001, 0), 4 * 2_001_000 + 20_000, "what a tier does not name stays");
}

#[test]
fn typical_requests_rank_models() {
    let blended = |model| of("openai", model).unwrap().blended();
    assert_eq!(blended("gpt-5"), 3_000 * 1_250 + 1_000 * 10_000);
    assert!(blended("gpt-5-nano") < blended("gpt-5-mini") && blended("gpt-5-mini") < blended("gpt-5"));
}

#[test]
fn what_is_no_price_is_refused() {
    for text in [
        "input = -1",
        "input = nan",
        "input = 1e30",
        "image = inf",
        "inputs = 1",
        "abilities = [\"smell\"]",
    ] {
        assert!(toml::from_str::<Price>(text).is_err(), "{text}");
    }
}

#[test]
fn nothing_overflows() {
    let price = price("input = 1000\noutput = 1000\nminute = 1");
    let counts = Counts {
        input: u64::MAX,
        cached: u64::MAX,
        output: u64::MAX,
        seconds: u64::MAX,
        ..Counts::default()
    };
    assert_eq!(price.cost(&counts), u64::MAX);
}

proptest! {
    #[test]
    fn buckets_sum_to_the_totals(counts in prop::array::uniform10(prop::option::of(0_u64..5_000))) {
        let [input, cache_read, cache_write, cache_write_5m, cache_write_1h, input_audio, input_image, output, reasoning, output_audio] =
            counts;
        let usage = Usage {
            input, cache_read, cache_write, cache_write_5m, cache_write_1h, input_audio, input_image, output, reasoning,
            output_audio,
            ..Usage::default()
        };
        let counts = Counts::from(&usage);
        prop_assert_eq!(counts.prompt(), input.unwrap_or(0));
        prop_assert_eq!(counts.output + counts.reasoning + counts.audio_output, output.unwrap_or(0));

        let relayed = Counts::from(mynah_dialect::usage::Usage::from(&usage));
        prop_assert_eq!(relayed.prompt(), input.unwrap_or(0));
        prop_assert_eq!(relayed.output + relayed.reasoning, output.unwrap_or(0));
    }
}
