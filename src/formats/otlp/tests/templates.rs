//! Bodies from templates are those of the plain encoder.

use super::scraped::{HISTOGRAM, SUMMARY};
use super::*;

/// xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Something that a source has: an item with its readings, and what their numbers may be.
struct Thing {
    item: Item,
    readings: Vec<Arc<crate::model::Learnt>>,
}

impl Thing {
    fn new(random: &mut Random) -> Thing {
        let name = format!("{:x}", random.below(1 << 40));
        let families: Vec<(Family<'static>, Vec<(&str, String)>)> = match random.below(6) {
            0 => {
                let bounds = (0..random.below(20)).map(|at| at.to_string()).chain(["+Inf".to_owned()]);
                let mut all: Vec<_> = bounds.map(|le| (HISTOGRAM("x_bucket"), vec![("le", le)])).collect();
                all.push((HISTOGRAM("x_count"), vec![]));
                for more in [HISTOGRAM("x_sum"), Family::gauge("x_created", "seconds", "")] {
                    if random.below(2) == 0 {
                        all.push((more, vec![]));
                    }
                }
                all
            }
            1 => {
                let quantiles = (0..random.below(4)).map(|at| format!("0.{at}"));
                let mut all: Vec<_> = quantiles.map(|at| (SUMMARY("s"), vec![("quantile", at)])).collect();
                all.extend([(SUMMARY("s_count"), vec![]), (SUMMARY("s_sum"), vec![])]);
                all
            }
            2 => vec![(TOTAL, vec![]), (Family::gauge("test_bytes_created", "seconds", ""), vec![])],
            _ => vec![(USAGE, vec![]), (COUNT, vec![]), (Family::counter("c", "", "C."), vec![])],
        };
        let job = format!("job-{}", random.below(3));
        let target = [("instance", "h:1".to_owned()), ("job", job), ("name", name.clone())];
        let is_scraped = random.below(3) == 0;
        let reading = |(family, own): (Family<'static>, Vec<(&'static str, String)>)| {
            let target = target.iter().filter(|(name, _)| is_scraped || *name == "name").cloned();
            let mut all: Vec<_> = own.into_iter().chain(target).collect();
            all.sort();
            let labels: Vec<_> = all.iter().map(|(name, value)| Label::Constant { name, value }).collect();
            Arc::new(crate::model::Learnt::everywhere(family, &labels))
        };
        Thing { item: Item::new(&[&name]), readings: families.into_iter().map(reading).collect() }
    }
}

#[test]
fn bodies_from_templates_are_those_that_are_written_point_by_point() {
    for seed in 1..6 {
        let mut random = Random(seed);
        let from = testing::from(Labels::of(&[("dc", "eu")]));
        let mut ours = Otlp::<proto::Protobuf>::new(from.clone(), Compression::None, Temporality::Cumulative);
        let mut plain = Otlp::<proto::Protobuf>::new(from.clone(), Compression::None, Temporality::Cumulative);
        plain.body.templated = None;
        let most = 20 + random.below(400);
        let mut recorders: Vec<Recorder> = (0..3).map(|at| Recorder::new(format!("source-{at}"), 100_000)).collect();
        let mut things: Vec<Vec<Thing>> = (0..3).map(|_| (0..60).map(|_| Thing::new(&mut random)).collect()).collect();
        let (mut time_ms, mut in_all) = (TIME_MS, Encoded::default());
        for round in 0..60 {
            time_ms += if random.below(15) == 0 { -3000 } else { 1000 };
            for all in &mut things {
                if random.below(3) == 0 {
                    let at = random.below(all.len() as u64) as usize;
                    match random.below(3) {
                        0 => all.insert(at, Thing::new(&mut random)),
                        1 if all.len() > 1 => drop(all.remove(at)),
                        _ => all[at] = Thing::new(&mut random),
                    }
                }
            }
            let frame = |(out, all): (&mut Recorder, &Vec<Thing>)| {
                for Thing { item, readings } in all {
                    let mut out = out.item(item);
                    let mut count = 1.0;
                    for reading in readings {
                        count += random.below(5) as f64;
                        let value = match random.below(1500) {
                            0 => f64::NAN,
                            1 => -1.0,
                            2 => time_ms as f64 / 1000.0 + 1000.0,
                            _ => count,
                        };
                        let own = if random.below(2000) == 0 { time_ms - 5 } else { Frame::NO_TIME };
                        out.push_learnt_at(reading, value, own);
                    }
                }
                out.finish(time_ms)
            };
            let frames: Vec<Frame> = recorders.iter_mut().zip(&things).map(frame).collect();
            let boot_ms = if round < 30 { Some(1_699_000_000_000) } else { None };
            let resource = Resource { host: "h".into(), boot_ms, ..Resource::default() };
            let batch = Batch::new(time_ms, Arc::new(resource), frames);
            let (mut a, mut b) = (Bodies::default(), Bodies::default());
            let encoded = ours.encode(&batch, most, &mut a);
            assert_eq!(encoded, plain.encode(&batch, most, &mut b));
            let (a, b): (Vec<_>, Vec<_>) = (a.drain().collect(), b.drain().collect());
            assert_eq!(a, b, "seed {seed}, round {round}");
            let count = |body: &Piece| {
                assert!(body.samples <= most);
                let request = ExportMetricsServiceRequest::decode(&body.bytes[..]).unwrap();
                proto::Protobuf::points(&body.bytes).unwrap().len() as u64
                    + u64::from(request.resource_metrics.is_empty())
            };
            assert_eq!(a.iter().map(count).sum::<u64>(), encoded.samples + encoded.markers);
            in_all.unencodable += encoded.unencodable;
            in_all.markers += encoded.markers;
            in_all.samples += encoded.samples;
        }
        let templated = ours.body.templated.unwrap();
        assert!((in_all.samples / 2..in_all.samples).contains(&templated), "{templated} of {in_all:?}");
        assert!(in_all.unencodable > 0 && in_all.markers > 0);
    }
}
