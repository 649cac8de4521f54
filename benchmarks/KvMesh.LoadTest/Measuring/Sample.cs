namespace KvMesh.LoadTest.Measuring;

/// <summary>What one contender did in one run.</summary>
/// <param name="Operations">Requests that were answered.</param>
/// <param name="Bytes">Payload bytes that they moved.</param>
/// <param name="Seconds">Wall time from the common start to the last worker's end.</param>
/// <param name="ClientCoreSeconds">Processor time of this process meanwhile.</param>
/// <param name="ServerCoreSeconds">Processor time of the server process meanwhile; 0 when there is none.</param>
/// <param name="P50Microseconds">Median time of a request; 0 when single requests were not timed.</param>
/// <param name="P99Microseconds">99th percentile of the same.</param>
/// <param name="OtherCores">How many cores everybody else used meanwhile, on average.</param>
internal readonly record struct Sample(
    long Operations, long Bytes, double Seconds, double ClientCoreSeconds = 0, double ServerCoreSeconds = 0,
    double P50Microseconds = 0, double P99Microseconds = 0, double OtherCores = 0)
{
    public double GigabytesPerSecond => Bytes / Seconds / 1e9;

    public double OperationsPerSecond => Operations / Seconds;

    /// <summary>Processor time of both processes per 10^9 payload bytes; 0 when no bytes were counted.</summary>
    public double CoreSecondsPerGigabyte => Bytes == 0 ? 0 : (ClientCoreSeconds + ServerCoreSeconds) / (Bytes / 1e9);
}
