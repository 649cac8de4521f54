namespace KvMesh.Cluster.Loading;

/// <summary>
/// What would be computed if nobody planned (<see cref="MeetInTheMiddle"/>): the worker goes on from the front, each source from the back, and what both have
/// in hand goes to the first that is done.
/// </summary>
internal static class MeetForecast
{
    public static bool[] Computed(ReadInput input)
    {
        var times = new Timetable(input);
        times.Fill(static _ => false);
        var isComputed = new bool[input.Blocks.Length];
        var now = input.WorkerFreeIn.TotalSeconds;
        for (var block = 0; block < isComputed.Length; block++)
        {
            // A source asks for a block after all behind it: what is computed makes nothing come sooner that is still wanted.
            var end = now + times.ComputeSeconds(block);
            isComputed[block] = times.Ends[block] > Math.Min(end, input.DeadlineSeconds);
            now = isComputed[block] ? end : Math.Max(now, times.Ends[block]);
        }

        return isComputed;
    }
}
