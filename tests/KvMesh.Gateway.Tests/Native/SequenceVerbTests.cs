using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Gateway.Tests.Native;

/// <summary>Requests that the control plane answers later, among others that are answered at once.</summary>
public sealed class SequenceVerbTests
{
    [Fact]
    public async Task Answers_come_in_the_order_of_the_requests_whenever_the_work_is_done()
    {
        var host = new SlowHost();
        using var fixture = new NativeSessionFixture(sequences: host);
        byte[] requests =
        [
            .. Close(fixture, "a"), .. Close(fixture, "b"), .. fixture.Frame(Verb.Ping), .. Close(fixture, "c"),
            .. fixture.Frame(Verb.SequenceShow, writer => SequenceRequests.WritePrefix(writer, "d")),
        ];
        var serving = TestKit.Eventually.Run(() => fixture.Send(requests));

        // Both are begun before either is done; what comes behind the ping waits for them.
        await TestKit.Eventually.Holds(() => host.Begun.Count == 2, "two requests under way");
        host.Finish("b");
        host.Finish("a");
        await TestKit.Eventually.Holds(() => host.Begun.Count == 4, "the requests behind the ping");
        host.Finish("d");
        host.Finish("c");
        var answers = await TestKit.Eventually.Within(serving, "the session");

        Assert.Equal(
            [Verb.SequenceClose, Verb.SequenceClose, Verb.Ping, Verb.SequenceClose, Verb.SequenceShow], answers.Select(answer => answer.Header.Verb));
        Assert.Equal(["a", "b", "c", "d"], answers.Where(answer => answer.Header.Verb != Verb.Ping).Select(NameOf));
        Assert.Equal(answers.Select(answer => answer.Header.RequestId).Order(), answers.Select(answer => answer.Header.RequestId));
    }

    [Fact]
    public async Task More_requests_than_may_be_under_way_are_all_answered()
    {
        var host = new SlowHost();
        using var fixture = new NativeSessionFixture(sequences: host);
        var requests = Enumerable.Range(0, 200).SelectMany(index => Close(fixture, $"s{index}")).ToArray();
        var serving = TestKit.Eventually.Run(() => fixture.Send(requests));
        for (var done = 0; done < 200; done++)
        {
            await TestKit.Eventually.Holds(() => host.Begun.Count > done, $"request {done}");
            Assert.InRange(host.Begun.Count, 0, done + 70);
            host.Finish($"s{done}");
        }

        Assert.Equal(200, (await TestKit.Eventually.Within(serving, "the session")).Count);
    }

    [Fact]
    public void A_node_without_sequences_says_so()
    {
        using var fixture = new NativeSessionFixture();
        var answer = fixture.Ask(Verb.SequenceShow, writer => SequenceRequests.WritePrefix(writer, "a"));
        Assert.Equal(NativeStatus.NotSupported, answer.Status);
        Assert.Equal(NativeStatus.Ok, fixture.Ask(Verb.Ping).Status);
    }

    [Fact]
    public void A_head_that_is_cut_is_a_bad_request_and_the_connection_goes_on()
    {
        using var fixture = new NativeSessionFixture(sequences: new SlowHost());
        for (var verb = Verb.SequenceOpen; verb <= Verb.SequenceList; verb++)
        {
            Assert.Equal(NativeStatus.BadRequest, fixture.Ask(verb, writer => writer.WriteUInt32(5)).Status);
        }
    }

    private static byte[] Close(NativeSessionFixture fixture, string name) =>
        fixture.Frame(Verb.SequenceClose, writer => SequenceRequests.Write(writer, name, new CloseSequence()));

    private static string NameOf(Answer answer)
    {
        Assert.Equal(NativeStatus.Ok, answer.Status);
        var reader = new HeadReader(answer.Head);
        reader.ReadUInt32();
        return SequenceAnswers.ReadInfo(ref reader).Name;
    }

    /// <summary>A host that answers when the test says so.</summary>
    private sealed class SlowHost : ISequenceHost
    {
        private readonly System.Collections.Concurrent.ConcurrentDictionary<string, TaskCompletionSource<SequenceReply>> _begun = new();

        public ICollection<string> Begun => _begun.Keys;

        public SequenceEventFeed Events { get; } = new();

        public void Finish(string name) => _begun[name].SetResult(new SequenceReply(SequenceRefusal.None, new SequenceInfo { Name = name }, "", false));

        public ValueTask<SequenceReply> ExecuteAsync(SequenceId id, SequenceCommand command, CancellationToken cancellationToken) => new(Begin(id.Name));

        public ValueTask<SequenceReply> FindAsync(SequenceId id, CancellationToken cancellationToken) => new(Begin(id.Name));

        public ValueTask<SequenceRows> ReadRowsAsync(SequenceId id, int first, int count, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask<SequencePage> ListAsync(string tenant, string after, int count, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask<TenantShare> ReadUsageAsync(string tenant, CancellationToken cancellationToken) => throw new NotSupportedException();

        private Task<SequenceReply> Begin(string name) =>
            _begun.GetOrAdd(name, static _ => new TaskCompletionSource<SequenceReply>(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
    }
}
