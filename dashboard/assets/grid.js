/* Cells of the list of trips. */
var dagcomponentfuncs = (window.dashAgGridComponentFunctions =
  window.dashAgGridComponentFunctions || {});

dagcomponentfuncs.TripLink = function (props) {
  if (!props.data) return "…";
  return React.createElement(
    window.dash_core_components.Link,
    { href: props.data.href, title: props.data.trip_id },
    props.value
  );
};

dagcomponentfuncs.ScoreCell = function (props) {
  if (!props.data) return "";
  var d = props.data;
  return React.createElement(
    "span",
    { className: "score-cell" },
    React.createElement(
      "span",
      {
        className: d.colour ? "band" : "band band-none",
        style: { background: d.colour, color: d.text_colour, width: 26, height: 26, fontSize: 16 },
      },
      d.band
    ),
    React.createElement("strong", null, d.score),
    React.createElement("span", { className: "interval" }, d.interval)
  );
};

/* Enter on a row opens its trip: the grid's own focus is on cells, not on the link in one. */
document.addEventListener("keydown", function (event) {
  var cell = document.activeElement;
  if (event.key !== "Enter" || !cell || !cell.classList.contains("ag-cell")) return;
  var link = cell.closest(".ag-row").querySelector("a");
  if (link) link.click();
});
