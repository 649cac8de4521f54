using System.Text;
using KvMesh.Protocol.Coding;
using KvMesh.Protocol.Native;

namespace KvMesh.Client;

/// <summary>How a client reaches one node.</summary>
public sealed record ClientOptions
{
    /// <summary>
    /// Address of the node's native door: <c>tcp://host:port</c>, or <c>unix:/path/native.sock</c>. On the latter, and on a loopback
    /// address whose node names a Unix socket that can be reached, the client may share memory with the node.
    /// </summary>
    public string Endpoint { get; init; } = "tcp://127.0.0.1:8601";

    /// <summary>Secret that names the caller's tenant and rights. Null: the node's anonymous caller, where it has one.</summary>
    public string? Token { get; init; }

    /// <summary>Connections kept open, 1 to 64. Requests are spread over them and pipelined on each.</summary>
    public int Connections { get; init; } = 2;

    /// <summary>Whether a client on the node's own machine may read in place and write through shared memory.</summary>
    public bool AllowSharedMemory { get; init; } = true;

    /// <summary>Longest time for one attempt to connect and be greeted.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Longest time that one request waits, reconnecting included, before it counts as failed.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Congestion control of TCP sockets, as <c>cubic</c>. Null: the system's default.</summary>
    public string? CongestionControl { get; init; }

    /// <summary>Whether received bytes are checked against the node's checksums. Off only to measure what the check costs.</summary>
    public bool VerifyChecksums { get; init; } = true;

    /// <summary>
    /// Whether only exact blocks are read: a copy that has lost something is a miss, in RAM, on disk and elsewhere in the cluster. A node from before
    /// lossy copies keeps none.
    /// </summary>
    public bool LosslessReads { get; init; }

    /// <summary>Whether no copy of a block that this client writes may lose anything, in any tier of any node.</summary>
    public bool LosslessWrites { get; init; }

    /// <summary>
    /// Decodes blocks that the node keeps encoded, so that they come over the socket in fewer bytes: <c>new KvMesh.Codecs.Payloads.PayloadDecoder()</c>. Null: the node decodes
    /// them. What is read in place, in shared memory, is never encoded.
    /// </summary>
    public IPayloadDecoder? Decoder { get; init; }

    /// <summary>Name shown to the node's operators, at most 64 bytes of UTF-8.</summary>
    public string ClientName { get; init; } = "kvmesh-client";

    /// <summary>Bytes of the file through which one connection writes in shared memory; a larger block goes over the socket.</summary>
    public int StagingBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>
    /// Whether calls do their input and output on the calling thread and have completed when they return. For callers that own their
    /// threads: it saves waking two threads for each call. Off, calls never block, and many may be under way on one connection.
    /// </summary>
    public bool BlockingCalls { get; init; }

    /// <summary>Clock of timeouts and pauses.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <exception cref="ArgumentException">A value is out of its range.</exception>
    internal void Check()
    {
        Require(Connections is >= 1 and <= 64, nameof(Connections), Connections, "1 to 64");
        Require(ConnectTimeout > TimeSpan.Zero, nameof(ConnectTimeout), ConnectTimeout, "more than 0");
        Require(RequestTimeout > TimeSpan.Zero, nameof(RequestTimeout), RequestTimeout, "more than 0");
        Require(StagingBytes >= 0, nameof(StagingBytes), StagingBytes, "at least 0");
        var nameBytes = Encoding.UTF8.GetByteCount(ClientName);
        Require(nameBytes <= NativeLimits.MaxClientNameBytes, nameof(ClientName), nameBytes, $"at most {NativeLimits.MaxClientNameBytes} bytes");
        var tokenBytes = Encoding.UTF8.GetByteCount(Token ?? "");
        Require(tokenBytes <= NativeLimits.MaxTokenBytes, nameof(Token), tokenBytes, $"at most {NativeLimits.MaxTokenBytes} bytes");
    }

    private static void Require(bool holds, string name, object value, string allowed)
    {
        if (!holds)
        {
            throw new ArgumentException($"{name} is {value}; it must be {allowed}.", name);
        }
    }
}
