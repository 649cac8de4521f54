namespace KvMesh.Dashboard.Board;

/// <summary>The stretch of time that charts show, cut into points of whole seconds.</summary>
public readonly record struct TimeWindow(int Minutes, int SecondsPerPoint)
{
    /// <summary>The node keeps ten minutes.</summary>
    public static IReadOnlyList<TimeWindow> All { get; } = [new(2, 1), new(5, 2), new(10, 4)];

    public int Points => Minutes * 60 / SecondsPerPoint;

    /// <summary>The window with that many minutes; five when the text names none.</summary>
    public static TimeWindow Parse(string? minutes) =>
        All.FirstOrDefault(window => minutes == window.Minutes.ToString(), All[1]);
}
