using System.Net;
using KvMesh.Dashboard;
using KvMesh.Dashboard.Access;
using KvMesh.Dashboard.Views;
using KvMesh.TestKit;
using Microsoft.AspNetCore.Http;

namespace KvMesh.System.Tests.Dashboard.Units;

public sealed class AccessTests
{
    private readonly SimulatedClock _clock = new();
    private readonly DashboardOptions _options = new();

    [Fact]
    public void A_cookie_leads_to_the_token_until_it_runs_out()
    {
        var sessions = new Sessions(_options, _clock);
        var cookie = sessions.Begin("secret");

        Assert.True(sessions.TryFind(cookie, out var token));
        Assert.Equal("secret", token);

        _clock.Advance(_options.SessionLifetime);
        Assert.False(sessions.TryFind(cookie, out _));
    }

    [Fact]
    public void A_cookie_that_was_touched_at_any_place_leads_nowhere()
    {
        var sessions = new Sessions(_options, _clock);
        var cookie = sessions.Begin("secret");
        var isFound = Enumerable.Range(0, cookie.Length).Where(place =>
        {
            var touched = cookie.ToCharArray();
            touched[place] = touched[place] == 'A' ? 'B' : 'A';
            return sessions.TryFind(new string(touched), out _);
        });

        Assert.Empty(isFound);
        Assert.False(sessions.TryFind(cookie[..^1], out _));
        Assert.False(sessions.TryFind(cookie + "AAAA", out _));
        Assert.False(sessions.TryFind("", out _));
        Assert.False(sessions.TryFind("not base64!", out _));
        Assert.False(new Sessions(_options, _clock).TryFind(cookie, out _));
    }

    [Fact]
    public void A_session_that_was_ended_is_over()
    {
        var sessions = new Sessions(_options, _clock);
        var cookie = sessions.Begin("secret");

        sessions.End(cookie);

        Assert.False(sessions.TryFind(cookie, out _));
    }

    [Fact]
    public void Sessions_are_bounded_and_the_oldest_goes()
    {
        var sessions = new Sessions(_options, _clock);
        var cookies = Enumerable.Range(0, Sessions.MaxSessions + 1).Select(number =>
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            return sessions.Begin($"token-{number}");
        }).ToList();

        Assert.False(sessions.TryFind(cookies[0], out _));
        Assert.All(cookies.Skip(1), cookie => Assert.True(sessions.TryFind(cookie, out _)));
    }

    [Fact]
    public void An_address_may_try_ten_tokens_a_minute()
    {
        var limiter = new SignInLimiter(_clock);

        Assert.All(Enumerable.Range(0, SignInLimiter.MaxAttempts), _ => Assert.True(limiter.TryAttempt(IPAddress.Parse("10.0.0.1"))));
        Assert.False(limiter.TryAttempt(IPAddress.Parse("10.0.0.1")));
        Assert.True(limiter.TryAttempt(IPAddress.Parse("10.0.0.2")));

        _clock.Advance(SignInLimiter.Period);
        Assert.True(limiter.TryAttempt(IPAddress.Parse("10.0.0.1")));
    }

    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1", "localhost:8600", null, true)]
    [InlineData("::1", "::1", "[::1]:8600", null, true)]
    [InlineData("127.0.0.1", "127.0.0.1", "127.0.0.1", null, true)]
    [InlineData("127.0.0.1", "127.0.0.1", "rebound.example:8600", null, false)]
    [InlineData("127.0.0.1", "127.0.0.1", "localhost.example", null, false)]
    [InlineData("127.0.0.1", "127.0.0.1", "localhost:8600", "X-Forwarded-For", false)]
    [InlineData("127.0.0.1", "127.0.0.1", "localhost:8600", "Forwarded", false)]
    [InlineData("10.0.0.9", "10.0.0.1", "10.0.0.1:8600", null, false)]
    [InlineData("10.0.0.9", "10.0.0.1", "localhost:8600", null, false)]
    [InlineData(null, null, "localhost:8600", null, false)]
    public void Only_this_machine_is_let_in_without_a_token(string? remote, string? local, string host, string? forwarding, bool isAdmitted)
    {
        var context = Request(remote, local, host);
        if (forwarding is not null)
        {
            context.Request.Headers[forwarding] = "10.0.0.9";
        }

        Assert.Equal(isAdmitted, Gate(_options).Look(context).IsAdmitted);
    }

    [Fact]
    public void A_cookie_opens_from_anywhere_and_carries_its_own_token()
    {
        var sessions = new Sessions(_options, _clock);
        var context = Request("10.0.0.9", "10.0.0.1", "kv.example");
        context.Request.Headers.Cookie = $"{Sessions.CookieName}={sessions.Begin("secret")}";

        Assert.Equal(new Viewer(true, "secret"), new ViewerGate(_options, sessions).Look(context));
    }

    [Fact]
    public void A_node_that_is_open_to_all_is_shown_to_all() =>
        Assert.True(Gate(new DashboardOptions { AllowAnonymousOffLoopback = true }).Look(Request("10.0.0.9", "10.0.0.1", "kv.example")).IsAdmitted);

    [Theory]
    [InlineData("http://127.0.0.1:8600", true)]
    [InlineData("http://127.0.0.1:8601", false)]
    [InlineData("http://evil.example", false)]
    [InlineData("null", false)]
    [InlineData("", false)]
    public void Sockets_and_forms_come_from_the_page_itself(string origin, bool isOwn)
    {
        var context = Request("127.0.0.1", "127.0.0.1", "127.0.0.1:8600");
        context.Request.Headers.Origin = origin;

        Assert.Equal(isOwn, ViewerGate.IsFromOwnPage(context.Request));
    }

    [Fact]
    public void Slots_run_out_and_come_back_once()
    {
        var slots = new ViewSlots(new DashboardOptions { MaxViews = 2 });
        var first = slots.TryEnter();
        using var second = slots.TryEnter();

        Assert.Null(slots.TryEnter());
        Assert.True(slots.IsFull);

        first!.Dispose();
        first.Dispose();
        Assert.Equal(1, slots.Open);
    }

    private ViewerGate Gate(DashboardOptions options) => new(options, new Sessions(options, _clock));

    private static DefaultHttpContext Request(string? remote, string? local, string host)
    {
        var context = new DefaultHttpContext();
        context.Connection.RemoteIpAddress = remote is null ? null : IPAddress.Parse(remote);
        context.Connection.LocalIpAddress = local is null ? null : IPAddress.Parse(local);
        context.Request.Scheme = "http";
        context.Request.Host = new HostString(host);
        return context;
    }
}
