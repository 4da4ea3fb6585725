use super::*;

const WALL: Timestamp = Timestamp::UNIX_EPOCH;

fn view(version: u64, holder: Option<&str>, roll: Option<&Roll>) -> LeaseView {
    let mut object = Lease::default();
    object.metadata.resource_version = Some(version.to_string());
    let annotation = roll.map(|roll| (ROLL_ANNOTATION.to_owned(), serde_json::to_string(roll).unwrap()));
    object.metadata.annotations = Some(annotation.into_iter().collect());
    let holder_identity = Some(holder.unwrap_or_default().to_owned());
    let lease_duration_seconds = Some(15);
    object.spec = Some(LeaseSpec { holder_identity, lease_duration_seconds, ..LeaseSpec::default() });
    LeaseView::of(object)
}

fn founded(name: &str) -> Roll {
    Roll::founded_by([name.to_owned()].into())
}

fn candidacy() -> Candidacy {
    Candidacy::new("b", LeaseTimes::default())
}

#[test]
fn permit_a_lease_is_taken_once_its_duration_has_passed_by_our_own_clock_without_a_change() {
    let (mut own, roll) = (candidacy(), founded("a"));
    own.saw(100_000, Some(view(1, Some("a"), Some(&roll))));
    own.saw(110_000, Some(view(2, Some("a"), Some(&roll))));
    own.saw(124_000, Some(view(2, Some("a"), Some(&roll))));
    assert_eq!(own.next(124_999, false), Step::Wait { until_ms: 125_000 });
    assert_eq!(own.next(125_000, true), Step::Wait { until_ms: 127_000 });
    assert_eq!(own.next(125_000, false), Step::Take);
    let taken = LeaseView::of(own.draft(&Step::Take, None, WALL).unwrap());
    assert_eq!((taken.holder.as_deref(), taken.version()), (Some("b"), Some("2")));
    assert_eq!(taken.roll, Some(roll));
}

#[test]
fn permit_a_released_lease_is_taken_at_once_and_keeps_its_roll() {
    let (mut own, roll) = (candidacy(), founded("a"));
    own.saw(1, Some(view(1, Some("b"), Some(&roll))));
    assert_eq!(own.next(1, false), Step::Renew);
    let released = LeaseView::of(own.draft_release(WALL).unwrap());
    assert_eq!((released.holder.as_ref(), released.duration_ms, released.roll.as_ref()), (None, 1_000, Some(&roll)));
    let mut other = Candidacy::new("c", LeaseTimes::default());
    other.saw(7, Some(released));
    assert_eq!(other.next(7, false), Step::Take);
}

#[test]
fn permit_a_missing_lease_is_mended_at_once_by_who_knows_its_roll_and_founded_late_by_who_does_not() {
    let mut stranger = candidacy();
    stranger.saw(0, None);
    assert_eq!(stranger.next(5_999, false), Step::Wait { until_ms: 6_000 });
    assert_eq!(stranger.next(6_000, false), Step::Make);
    stranger.hears(["c".to_owned()].into());
    let first = LeaseView::of(stranger.draft(&Step::Make, None, WALL).unwrap()).roll.unwrap();
    assert_eq!((first.generation, first.members), (1, ["b", "c"].map(str::to_owned).into()));
    let roll = Roll { generation: 7, members: ["a", "b", "c"].map(str::to_owned).into() };
    let mut knows = candidacy();
    knows.saw(0, Some(view(9, Some("a"), Some(&roll))));
    knows.saw(2_000, None);
    assert_eq!(knows.next(2_000, false), Step::Make);
    assert_eq!(LeaseView::of(knows.draft(&Step::Make, None, WALL).unwrap()).roll, Some(roll.clone()));
    // Somebody founded another over it.
    knows.saw(4_000, Some(view(20, Some("b"), Some(&founded("b")))));
    assert_eq!(LeaseView::of(knows.draft(&Step::Renew, None, WALL).unwrap()).roll, Some(roll));
}

#[test]
fn permit_a_lease_is_held_from_the_sending_of_what_succeeded_until_the_deadline() {
    let (mut own, roll) = (candidacy(), founded("b"));
    own.wrote(1_000, 4_000, view(3, Some("b"), Some(&roll)));
    assert_eq!(own.held_until(), Some(11_000));
    own.saw(5_000, Some(view(4, Some("c"), Some(&roll))));
    assert_eq!(own.held_until(), None);
}
