using System.Net;

namespace KvMesh.LoadTest.Faults;

/// <summary>A node as callers know it. Its doors stay where they are, whatever process serves them.</summary>
internal sealed record NodeTarget(string Name, IPEndPoint Native, IPEndPoint Resp, Uri Http)
{
    private int _generation;

    /// <summary>The native door, as clients name it.</summary>
    public string NativeEndpoint => $"tcp://{Native}";

    public NodeHealth Health { get; } = new();

    /// <summary>Number of the process that serves it, which a take-over changes.</summary>
    public int Generation => Volatile.Read(ref _generation);

    public void ChangeGeneration() => Interlocked.Increment(ref _generation);

    /// <summary>The node, if nothing was done to it since the mark was taken; else null.</summary>
    public NodeTarget? IfSoundSince(int mark) => Health.WasSoundSince(mark) ? this : null;
}

/// <summary>Whether a fault is under way on the node itself. A call that fails meanwhile is lost with its node; any other that fails is an error.</summary>
internal sealed class NodeHealth
{
    // Odd while a fault is under way.
    private int _changes;

    /// <summary>Where the node stands now, for <see cref="WasSoundSince"/>.</summary>
    public int Mark => Volatile.Read(ref _changes);

    public bool IsSound => Mark % 2 == 0;

    /// <summary>To be called before the fault begins.</summary>
    public void Break() => Interlocked.Increment(ref _changes);

    /// <summary>To be called when the node serves again.</summary>
    public void Mend() => Interlocked.Increment(ref _changes);

    /// <summary>Whether nothing was done to the node since the mark was taken, nor at that moment.</summary>
    public bool WasSoundSince(int mark) => mark % 2 == 0 && mark == Mark;
}
