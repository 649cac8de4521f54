using KvMesh.Gateway.Handover;
using KvMesh.Gateway.Sockets;
using KvMesh.Gateway.Tests.Sockets;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Gateway.Tests.Handover;

public sealed class HandoverTests : IAsyncLifetime, IDisposable
{
    private static readonly TimeSpan Patience = Eventually.Patience;
    private readonly TemporaryDirectory _folder = new();
    private readonly HostFixture _old = new();
    private readonly HostFixture _new = new(isStarted: false);

    private string SocketPath => Path.Combine(_folder.Path, "handover.sock");

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await _old.DisposeAsync();
        await _new.DisposeAsync();
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Strict_clients_go_on_with_the_successor()
    {
        var party = new Party(_old);
        await using var offer = Offer(party, Patience);
        var clients = Enumerable.Range(0, 100).Select(_ => _old.Connect()).ToArray();
        Assert.All(clients, client => Assert.Equal("1 a", client.Ask("a")));

        await Eventually.Within(TakeOver, "the handover");
        await party.Left.Within("the end of the old node");
        var late = new LineClient(_old.Endpoint);

        Assert.All(clients, client => Assert.Equal("2 b", client.Ask("b")));
        Assert.Equal("1 c", late.Ask("c"));
        Assert.Equal((0, 101), (_old.Host.ConnectionCount, _new.Host.ConnectionCount));
        late.Dispose();
    }

    [Fact]
    public async Task Clients_under_load_lose_nothing()
    {
        var party = new Party(_old);
        await using var offer = Offer(party, Patience);
        using var stop = new CancellationTokenSource();
        var clients = Enumerable.Range(0, 8).Select(_ => _old.Connect()).ToArray();
        var lanes = clients.Select(client => Eventually.Within(() => Ask(client, stop.Token), "the end of a lane")).ToArray();
        await Eventually.Holds(() => _old.Host.ConnectionCount == 8, "every lane connected");

        await Eventually.Within(TakeOver, "the handover");
        await Eventually.Holds(() => _new.Host.Connections().All(row => row.Commands > 10), "every lane served by the successor");
        await stop.CancelAsync();

        Assert.All(await Task.WhenAll(lanes), asked => Assert.True(asked > 10));
    }

    [Fact]
    public async Task A_unix_path_stays_with_the_successor()
    {
        var path = Path.Combine(_folder.Path, "node.sock");
        _old.Host.Freeze(Patience).Dispose();
        _old.Host.Listen(StreamEndpoint.Unix(path), _old.Factory);
        _old.Host.Start();
        await using (Offer(new Party(_old), Patience))
        {
            await Eventually.Within(TakeOver, "the handover");
        }

        using (var client = new LineClient(StreamEndpoint.Unix(path)))
        {
            Assert.Equal("1 a", client.Ask("a"));
        }

        await _new.Host.StopAsync(Patience, CancellationToken.None);
        Assert.False(File.Exists(path));
    }

    [Fact]
    public async Task The_successor_can_be_succeeded()
    {
        var client = _old.Connect();
        Assert.Equal("1 a", client.Ask("a"));
        await using (Offer(new Party(_old), Patience))
        {
            await Eventually.Within(TakeOver, "the first handover");
        }

        await using (Offer(new Party(_new), Patience))
        {
            var frozen = await Eventually.Within(
                () =>
                {
                    using var receipt = HandoverReceipt.Request(SocketPath, _old.Options, Patience);
                    return receipt.Commit();
                },
                "the second handover");
            _old.Host.Adopt(frozen, [_old.Factory]);
            _old.Host.Start();
        }

        Assert.Equal("2 b", client.Ask("b"));
        Assert.Equal(4, Assert.Single(_old.Host.Connections()).ReceivedBytes);
    }

    [Fact]
    public async Task A_successor_that_dies_sends_the_node_back_to_service()
    {
        var party = new Party(_old);
        await using var offer = Offer(party, Patience);
        var client = _old.Connect();
        Assert.Equal("1 a", client.Ask("a"));
        for (var round = 0; round < 3; round++)
        {
            (await Eventually.Within(() => HandoverReceipt.Request(SocketPath, _new.Options, Patience), "the receipt")).Dispose();
            Assert.Equal($"{round + 2} b", await Eventually.Within(() => client.Ask("b"), "service again"));
        }

        Assert.Equal(3, party.Resumed);
        Assert.Equal("1 c", _old.Connect().Ask("c"));
        await Eventually.Within(TakeOver, "a handover after all");
        Assert.Equal("5 d", client.Ask("d"));
    }

    [Fact]
    public async Task A_successor_that_takes_too_long_is_told_that_it_is_too_late()
    {
        var party = new Party(_old);
        await using var offer = Offer(party, TimeSpan.FromMilliseconds(100));
        var client = _old.Connect();
        Assert.Equal("1 a", client.Ask("a"));

        // On a busy machine an earlier step may be too late already.
        using var receipt = await Eventually.Succeeds<HandoverReceipt, HandoverException>(
            () => Eventually.Run(() => HandoverReceipt.Request(SocketPath, _new.Options, Patience)), "the receipt");
        Assert.Equal("2 b", await Eventually.Within(() => client.Ask("b"), "service again"));

        Assert.Throws<HandoverException>(() => receipt.Commit());
        Assert.True(party.Resumed > 0);
        Assert.Equal("3 c", client.Ask("c"));
    }

    [Fact]
    public async Task A_node_that_cannot_stop_says_why_and_serves_on()
    {
        var party = new Party(_old) { Obstacle = "the disk is busy" };
        await using var offer = Offer(party, Patience);
        var failure = await Eventually.Within(
            () => Assert.Throws<HandoverException>(() => HandoverReceipt.Request(SocketPath, _new.Options, Patience)), "the refusal");

        Assert.Contains("the disk is busy", failure.Message, StringComparison.Ordinal);
        Assert.Equal("1 a", _old.Connect().Ask("a"));
    }

    [Fact]
    public async Task A_successor_of_another_version_is_refused_in_words()
    {
        await using var offer = Offer(new Party(_old), Patience);
        using var channel = new HandoverChannel(StreamSocket.Connect(StreamEndpoint.Unix(SocketPath), StreamSocketOptions.Default), version: 7);
        channel.Send(HandoverVerb.Hello);
        var failure = await Eventually.Within(() => Assert.Throws<HandoverException>(() => channel.Receive(HandoverVerb.Welcome)), "the refusal");

        Assert.Contains("version 7", failure.Message, StringComparison.Ordinal);
        Assert.Equal("1 a", _old.Connect().Ask("a"));
    }

    [Fact]
    public async Task Noise_on_the_handover_socket_is_refused_and_the_next_successor_is_heard()
    {
        var random = new Random(5);
        await using var offer = Offer(new Party(_old), Patience);
        for (var round = 0; round < 50; round++)
        {
            var noise = new byte[random.Next(1, 64)];
            random.NextBytes(noise);
            using var socket = StreamSocket.Connect(StreamEndpoint.Unix(SocketPath), StreamSocketOptions.Default);
            socket.Send(noise);
        }

        await Eventually.Within(TakeOver, "the handover");
    }

    [Fact]
    public void Nobody_to_take_over_from_is_said()
    {
        var failure = Assert.Throws<HandoverException>(() => HandoverReceipt.Request(SocketPath, _new.Options, Patience));
        Assert.Contains(SocketPath, failure.Message, StringComparison.Ordinal);
    }

    private HandoverOffer Offer(Party party, TimeSpan patience) =>
        HandoverOffer.Start(SocketPath, party, patience, NullLogger<HandoverOffer>.Instance);

    private bool TakeOver()
    {
        // The fixture's own listener is not part of this: the successor serves what it is given.
        _new.Host.Freeze(Patience).Dispose();
        using var receipt = HandoverReceipt.Request(SocketPath, _new.Options, Patience);
        Assert.Equal("line", Assert.Single(receipt.Listeners).Protocol);
        _new.Host.Adopt(receipt.Commit(), [_new.Factory]);
        _new.Host.Start();
        return true;
    }

    private static int Ask(LineClient client, CancellationToken stop)
    {
        var asked = 0;
        while (!stop.IsCancellationRequested)
        {
            Assert.Equal($"{++asked} q", client.Ask("q"));
        }

        return asked;
    }

    private sealed class Party(HostFixture node) : IHandoverParty
    {
        private readonly TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Left => _left.Task;

        public int Resumed { get; private set; }

        public string? Obstacle { get; init; }

        public Task<FrozenConnections> ReleaseAsync() =>
            Obstacle is null ? Task.FromResult(node.Host.Freeze(Patience)) : Task.FromException<FrozenConnections>(new IOException(Obstacle));

        public Task ResumeAsync(FrozenConnections frozen)
        {
            Resumed++;
            node.Host.Adopt(frozen, [node.Factory]);
            node.Host.Start();
            return Task.CompletedTask;
        }

        public void Leave(int successor) => _left.SetResult();
    }
}
