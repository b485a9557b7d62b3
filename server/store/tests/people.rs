//! People: the directory, cards, profiles, portraits, and one's own edits.

mod support;

#[tokio::test]
async fn cards_are_found_for_those_who_exist() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let viewer = cast.viewer(cast.mei);
        let card = world.store.person(&viewer, cast.grace).await.unwrap();
        assert_eq!(card.display_name, "Grace Okafor");
    })
    .await;
}
