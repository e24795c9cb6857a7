/* An event chosen in the table is shown further up: go there. */
document.addEventListener("click", function (event) {
  var body = document.querySelector(".trip-body");
  if (body && event.target.closest(".show-event")) body.scrollIntoView();
});
