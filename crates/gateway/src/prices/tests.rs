use std::collections::HashSet;

use mynah_dialect::usage::Usage;
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
        cached_audio: 0,
        cached_image: 0,
        cache_write: million,
        cache_write_1h: million,
        audio_input: million,
        image_input: million,
        output: million,
        reasoning: million,
        audio_output: million,
        image_output: 0,
        requests: 1,
        images: 2,
        seconds: 90,
        characters: 1000,
    };
    let tokens = 1_000_000_000 + 100_000_000 + 1_250_000_000 + 2_000_000_000 + 4_000_000_000 + 3_000_000_000;
    let answer = 5_000_000_000_u64 + 6_000_000_000 + 20_000_000_000;
    let others = 5_000_000 + 80_000_000 + 9_000_000 + 15_000_000;
    assert_eq!(price.cost(&counts, None), Some(tokens + answer + others));

    let plain = toml::from_str::<Price>("input = 1\noutput = 5").unwrap();
    assert_eq!(plain.cost(&counts, None), Some(6_000_000_000 + 15_000_000_000));
}

#[test]
fn what_is_cached_has_prices_by_what_it_is() {
    let price = price(
        "input = 5\ncached = 1\ncached_audio = 3\ncached_image = 2\nimage_input = 10\noutput = 8\nimage_output = 40",
    );
    let counts = Counts {
        cached: 10,
        cached_audio: 10,
        cached_image: 10,
        image_input: 10,
        output: 10,
        image_output: 10,
        ..Counts::default()
    };
    let sum = 10_000 + 30_000 + 20_000 + 100_000 + 80_000 + 400_000;
    assert_eq!(price.cost(&counts, None), Some(sum));
}

#[test]
fn what_has_no_price_is_not_free() {
    let counts = |input, output, images| Counts {
        input,
        output,
        images,
        requests: 1,
        ..Counts::default()
    };
    let cost = |text, counts: Counts| price(text).cost(&counts, None);
    assert_eq!(cost("", counts(1, 0, 0)), None);
    assert_eq!(cost("input = 1", counts(1, 1, 0)), None, "the answer has none");
    assert_eq!(cost("input = 1", counts(1, 0, 0)), Some(1_000));
    assert_eq!(cost("input = 0\noutput = 0", counts(1, 1, 0)), Some(0), "it is free");
    assert_eq!(
        cost("input = 1", counts(0, 0, 1)),
        None,
        "nobody has told the tokens of the picture"
    );
    assert_eq!(cost("image = 0.04", counts(50, 0, 2)), Some(80_000_000));
    assert_eq!(cost("request = 0.002", counts(500, 0, 0)), Some(2_000_000));
    assert_eq!(
        cost("minute = 0.006", counts(0, 0, 0)),
        None,
        "nobody has told how long it is"
    );
}

#[test]
fn pictures_have_prices_by_quality_and_size() {
    let price = price("image = 0.04\nimages = { \"hd\" = 0.08, \"hd 1024x1792\" = 0.12, \"512x512\" = 0.018 }");
    for (quality, size, usd) in [
        ("hd", "1024x1792", Some(120_000_000_000)),
        ("hd", "1024x1024", Some(80_000_000_000)),
        ("", "512x512", Some(18_000_000_000)),
        ("standard", "1024x1024", None),
    ] {
        assert_eq!(price.picture(quality, size), usd.map(PerUnit), "{quality} {size}");
    }
    let two = Counts {
        images: 2,
        ..Counts::default()
    };
    assert_eq!(price.cost(&two, price.picture("hd", "1024x1024")), Some(160_000_000));
    assert_eq!(price.cost(&two, None), Some(80_000_000));
}

/// The numbers of three invoices that other gateways had wrong.
#[test]
fn what_comes_from_the_cache_is_billed_once() {
    let cost = |kind, model, usage: Usage| of(kind, model).unwrap().cost(&Counts::from(usage), None);
    // Gemini counts what is cached in the prompt. Billed once more in full, this comes to more than four times as much.
    let gemini = Usage {
        input: 500_000,
        cached: 490_000,
        output: 2_000,
        ..Usage::default()
    };
    let tiered = (10_000 * 2_500 + 490_000 * 250 + 2_000 * 15_000) as u64;
    assert_eq!(cost("gemini", "gemini-2.5-pro", gemini), Some(tiered));
    // Anthropic counts what is cached beside the input.
    let anthropic = Usage {
        input: 10 + 100_000 + 5_000 + 2_000,
        cached: 100_000,
        cache_write: 5_000,
        cache_write_1h: 2_000,
        output: 500,
        ..Usage::default()
    };
    let read_and_written = 10 * 3_000 + 100_000 * 300 + 5_000 * 3_750 + 2_000 * 6_000 + 500 * 15_000;
    assert_eq!(
        cost("anthropic", "claude-sonnet-4-5", anthropic),
        Some(read_and_written)
    );
    // Of a picture that is edited again, most comes from the cache.
    let pictures = Usage {
        input: 4_100,
        cached: 4_000,
        cached_image: 3_900,
        image_input: 50,
        output: 1_056,
        ..Usage::default()
    };
    let edited = 50 * 5_000 + 50 * 10_000 + 100 * 1_250 + 3_900 * 2_500 + 1_056 * 40_000;
    assert_eq!(cost("openai", "gpt-image-1", pictures), Some(edited));
}

#[test]
fn a_large_prompt_has_all_of_its_request_billed_higher() {
    let price = price(
        "input = 1\ncached = 0.5\noutput = 2\ntiers = [{ above = 1000, input = 2, cached = 1, output = 3 }, { above = 2000, input = 4 }]",
    );
    let cost = |input, cached| {
        let counts = Counts {
            input,
            cached,
            output: 10,
            ..Counts::default()
        };
        price.cost(&counts, None).unwrap()
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
    assert_eq!(price.cost(&counts, None), Some(u64::MAX));
}

proptest! {
    #[test]
    fn buckets_sum_to_the_totals(counts in prop::array::uniform12(0_u64..5_000)) {
        let [input, cached, cached_audio, cached_image, cache_write, cache_write_1h, audio_input, image_input, output, reasoning, audio_output, image_output] =
            counts;
        let usage = Usage {
            input, cached, cached_audio, cached_image, cache_write, cache_write_1h, audio_input, image_input, output, reasoning,
            audio_output, image_output,
            ..Usage::default()
        };
        let counts = Counts::from(usage);
        prop_assert_eq!((counts.prompt(), counts.answer()), (input, output));
    }
}
