namespace KvMesh.Dashboard.Board;

/// <summary>The stretch of time that charts show, cut into points of whole seconds.</summary>
public readonly record struct TimeWindow(int Minutes, int SecondsPerPoint)
{
    /// <summary>The node keeps ten minutes.</summary>
    public static IReadOnlyList<TimeWindow> All { get; } = [new(2, 1), new(5, 2), new(10, 4)];

    public int Points => Minutes * 60 / SecondsPerPoint;

    /// <summary>The window with that many minutes; when the text names none, five, or less for a node that is younger.</summary>
    public static TimeWindow Parse(string? minutes, int historySeconds) =>
        All.FirstOrDefault(window => minutes == window.Minutes.ToString(), historySeconds > All[0].Minutes * 60 ? All[1] : All[0]);
}
