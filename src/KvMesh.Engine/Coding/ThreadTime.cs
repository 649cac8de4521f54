using System.Runtime.InteropServices;

namespace KvMesh.Engine.Coding;

/// <summary>Processor time of the calling thread: a system call of a fraction of a microsecond, for work of a millisecond.</summary>
internal static unsafe partial class ThreadTime
{
    private const int ThreadClock = 3;
    private const int NanosecondsPerTick = 100;

    /// <summary>What the thread has used so far.</summary>
    public static TimeSpan Read()
    {
        var value = default(Value);
        return GetTime(ThreadClock, &value) == 0
            ? new TimeSpan((value.Seconds * TimeSpan.TicksPerSecond) + (value.Nanoseconds / NanosecondsPerTick))
            : throw new InvalidOperationException($"The system does not tell the processor time of a thread: error {Marshal.GetLastPInvokeError()}.");
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime", SetLastError = true)]
    private static partial int GetTime(int clock, Value* value);

    /// <summary>A timespec of a system of 64 bits.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Value
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
